"""The plan of a fine-tuning: a recipe, and what was decided for which reason."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...data.few_shot import FewShotList
from ...data.held_out import hold_out
from ...data.part_dataset import PartDataset
from ...errors import ConfigurationError
from ...utils.durations import format_duration
from ...utils.files import atomic_write, read_json
from ..arguments import TrainArguments
from .request import FineTuningRequest

FORMAT, VERSION = "ovparts-finetune", 1
RECIPE, PLAN, SHOTS, RUN = "recipe.yaml", "plan.json", "shots.json", "run"
"""Names in the output folder."""


@dataclass(frozen=True)
class Plan:
    """What is going to be done.

    Attributes:
        arguments: The recipe of the training.
        decisions: (topic, what and why) pairs, in the order in which a person reads them.
        scores_held_out: Whether the training images that are held out are scored, in place of the validation split.
        scores_start: Whether the model is scored before training, too; one with a closed vocabulary cannot be.
        few_shot: The images of K-shot training, until they are written.
        max_images: How many images are scored, if not all.
        seconds: How long everything is expected to take.
    """

    arguments: TrainArguments
    decisions: tuple[tuple[str, str], ...]
    scores_held_out: bool
    scores_start: bool
    few_shot: FewShotList | None = None
    max_images: int | None = None
    seconds: float = 0.0

    def table(self) -> str:
        """The decisions, one on each line, and the expected time."""
        lines = [*self.decisions, ("expected", f"about {format_duration(self.seconds)} on this machine")]
        width = max(len(topic) for topic, _ in lines)
        return "\n".join(f"{topic:{width}}  {text}" for topic, text in lines)

    def scored_dataset(self) -> PartDataset:
        """What is scored before and after training: its validation split."""
        if self.scores_held_out:
            return self._parts_of_data()[1]
        return self._with_shots(PartDataset.load(self.arguments.data))

    def trained_dataset(self) -> PartDataset:
        """What is trained on: its training split."""
        return self._with_shots(self._parts_of_data()[0])

    def _parts_of_data(self) -> tuple[PartDataset, PartDataset]:
        dataset, share = PartDataset.load(self.arguments.data), self.arguments.held_out
        return (dataset, dataset) if share is None else hold_out(dataset, share, self.arguments.seed)

    def _with_shots(self, dataset: PartDataset) -> PartDataset:
        if self.arguments.few_shot_list is not None:
            few_shot = self.few_shot or FewShotList.from_json(self.arguments.few_shot_list)
            few_shot.apply(dataset)
        return dataset

    def write(self, request: FineTuningRequest) -> None:
        """Writes what makes a later call with the same request continue, and the recipe, which completes it."""
        stored = {key: value for key, value in asdict(self).items() if key not in ("arguments", "few_shot")}
        text = json.dumps(
            {"format": FORMAT, "version": VERSION, "request": request.to_dict(), **stored}, indent=1, ensure_ascii=False
        )
        with atomic_write(request.out / PLAN) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        if self.few_shot is not None:
            self.few_shot.to_json(request.out / SHOTS)
        with atomic_write(request.out / RECIPE) as temporary:
            head = "\n".join(f"# {topic}: {text}" for topic, text in self.decisions)
            temporary.write_text(f"{head}\n{self.arguments.to_yaml()}", encoding="utf-8")

    @classmethod
    def read(cls, request: FineTuningRequest) -> Plan | None:
        """The plan that an earlier call with the same request has written; None if there is none.

        Raises:
            ConfigurationError: The folder holds another fine-tuning, or something else.
        """
        path = request.out / PLAN
        if not path.is_file() or not (request.out / RECIPE).is_file():
            return None
        advice = "Name another folder, or add --overwrite to start anew."
        stored = read_json(path, ConfigurationError, advice)
        try:
            if (stored["format"], stored["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is not of format {FORMAT!r}, version {VERSION}")
            given = json.loads(json.dumps(request.to_dict()))
            changes = _changes(stored["request"], given)
            plan = cls(
                replace(TrainArguments.from_recipe(request.out / RECIPE), output=str(request.out / RUN)),
                tuple((topic, text) for topic, text in stored["decisions"]),
                bool(stored["scores_held_out"]),
                bool(stored["scores_start"]),
                max_images=stored["max_images"],
                seconds=float(stored["seconds"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{path} is no plan of fine-tuning ({error}). {advice}") from error
        if changes:
            raise ConfigurationError(
                f"{request.out} holds another fine-tuning ({'; '.join(changes)}). Give the earlier arguments to "
                f"continue it. {advice}"
            )
        return plan


def _changes(earlier: dict[str, Any], given: dict[str, Any]) -> list[str]:
    return [f"{key}: {earlier.get(key)!r} -> {value!r}" for key, value in given.items() if earlier.get(key) != value]
