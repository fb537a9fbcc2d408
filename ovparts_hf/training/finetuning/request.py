"""What a person wants of fine-tuning, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from ...utils.arguments import check_not_negative, check_positive
from ...utils.durations import parse_duration
from ...utils.files import user_path
from ..recipe import with_current_names

_OWN = {"data", "output", "model", "seed", "few_shot_list", "resume", "overwrite", "time_limit"}


@dataclass(frozen=True)
class FineTuningRequest:
    """What is to be fine-tuned, and within which limits.

    Args:
        data: Prepared dataset: folder or Hub id.
        out: Folder of everything that is written.
        model: A family, a folder, a Hub id or a toy model to start from; None for what suits the images.
        shots: K: train on so few images that each part is in at least K of them; None for all images.
        time: Seconds that everything may take, or text such as "20m"; None for no limit.
        seed: Of everything random.
        overrides: Fields of `TrainArguments` that are set as given.

    Raises:
        ConfigurationError: Something is out of range.
    """

    data: str
    out: Path
    model: str | None = None
    shots: int | None = None
    time: float | None = None
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", str(user_path(self.data)))
        object.__setattr__(self, "out", user_path(self.out))
        object.__setattr__(self, "model", None if self.model is None else str(user_path(self.model)))
        object.__setattr__(self, "overrides", with_current_names(self.overrides))
        check_positive(shots=self.shots)
        check_not_negative(seed=self.seed)
        if self.time is not None:
            object.__setattr__(self, "time", parse_duration(self.time))
        config = self.overrides.get("config", {})
        if not isinstance(config, Mapping):
            raise ConfigurationError(
                f"config is {config!r}; give fields of the model's configuration with their values."
            )
        taken = sorted(_OWN & self.overrides.keys())
        if taken:
            raise ConfigurationError(
                f"{taken} cannot be overridden here: `ovparts finetune` has DATA, OUT, --model, --seed, --shots and "
                "--time for them."
            )

    def to_dict(self) -> dict[str, Any]:
        """What decides the result, JSON-ready."""
        return {**{key: value for key, value in asdict(self).items() if key != "out"}, "overrides": {**self.overrides}}
