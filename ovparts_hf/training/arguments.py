"""What can be set about a training run, and how a recipe file and the command line set it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from ..errors import ConfigurationError
from ..models.losses import LOSSES
from ..tasks import get_task

SCHEDULES = ("poly", "cosine", "constant")
_CHOICES = {
    "loss": LOSSES,
    "schedule": SCHEDULES,
    "level": ("picture", "object"),
    "image_format": ("RGB", "BGR"),
    "mixed_precision": ("no", "bf16", "fp16"),
}
_AT_LEAST = {
    "steps": 1,
    "batch_size": 1,
    "micro_batch_size": 1,
    "classes_per_picture": 1,
    "max_size": 1,
    "crop_size": 1,
    "eval_batch_size": 1,
    "log_every": 1,
    "learning_rate": 0,
    "weight_decay": 0,
    "max_grad_norm": 0,
    "warmup_steps": 0,
    "eval_every": 0,
    "save_every": 0,
    "workers": 0,
    "seed": 0,
}


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Settings of one training run; the defaults are those of the benchmark's CLIPSeg.

    Args:
        data: Folder or Hub id of a prepared dataset.
        output: Folder to write to: `arguments.yaml`, `log.jsonl`, the models `best` and `last`, and `states`.
        model: What to start from: a folder or Hub id with stock CLIPSeg weights or with a model of this library, or
            "toy" for the small weights that come with it.
        task: Name of the benchmark task.
        eval_data: Dataset of the evaluations during training; None for `data`.
        trainable: What is fine-tuned, see the model's `set_trainable`.
        loss: "bce" (the benchmark) or "ce_dice"; None keeps the model's.
        steps: Optimiser steps.
        batch_size: Examples in a step, over all processes and accumulation.
        micro_batch_size: Examples that a process takes at once; gradients are accumulated over the rest of its share of
            the batch. None takes the share at once.
        learning_rate: Of AdamW, at the start of the schedule.
        weight_decay: Of all but embeddings and normalisation layers.
        lr_multipliers: Factors on the learning rate by the beginning of parameter names; the longest match counts.
        schedule: "poly" (power 0.9), "cosine" or "constant".
        warmup_steps: Steps over which the learning rate first rises linearly.
        max_grad_norm: Limit of the gradient norm of the whole model; 0 for none.
        classes_per_picture: Score, for each picture, only the parts of its labelled objects and so many random other
            classes that there are this many (faster, and less memory); None scores the whole vocabulary.
        level: Whether an example is a "picture" or one "object" of a picture; None for what the benchmark does.
        short_edges: Lengths in pixels to which the short side of a training picture is scaled, drawn uniformly.
        max_size: Limit of the long side in pixels.
        crop_size: Crop a random square of this side and pad what is smaller; None for neither.
        color_jitter: Whether to change colours at random.
        flip: Probability of mirroring left and right.
        image_format: Channel order that the model is trained with. The benchmark trains CLIPSeg on BGR and tests it on
            RGB.
        mixed_precision: "no", "bf16" or "fp16".
        workers: Processes that load data, for each training process; 0 loads in the process itself.
        seed: Of everything random.
        eval_every: Steps between evaluations; 0 for none at all. With any, the end is evaluated too.
        eval_batch_size: Pictures in a forward pass of an evaluation.
        log_every: Steps between lines of the log.
        save_every: Steps between states that a run can be resumed from; 0 saves one only when interrupted.
        log_with: Tracker known to accelerate, such as "trackio", "tensorboard" or "wandb"; None for none.
        resume: Continue from the newest state in `output`, or start if there is no run there yet.
        overwrite: Remove an earlier run in `output`.

    Raises:
        ConfigurationError: A value is out of range or of another type.
    """

    data: str
    output: str
    model: str
    task: str = "zero_shot"
    eval_data: str | None = None
    trainable: str = "VA+L+F+D"
    loss: str | None = None
    steps: int = 20_000
    batch_size: int = 8
    micro_batch_size: int | None = None
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    lr_multipliers: dict[str, float] = field(default_factory=dict)
    schedule: str = "poly"
    warmup_steps: int = 0
    max_grad_norm: float = 0.01
    classes_per_picture: int | None = None
    level: str | None = None
    short_edges: list[int] = field(default_factory=lambda: [800])
    max_size: int = 1333
    crop_size: int | None = None
    color_jitter: bool = False
    flip: float = 0.5
    image_format: str = "RGB"
    mixed_precision: str = "no"
    workers: int = 2
    seed: int = 0
    eval_every: int = 5000
    eval_batch_size: int = 8
    log_every: int = 50
    save_every: int = 1000
    log_with: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name, hint in hints.items():
            object.__setattr__(self, name, _convert(name, getattr(self, name), hint))
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (value is None and type(None) in get_args(hints[name])):
                raise ConfigurationError(f"{name} is {value!r}; choose one of {list(allowed)}.")
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ConfigurationError(f"{name} is {value}; it must be at least {least}.")
        get_task(self.task)
        if not 0 <= self.flip <= 1:
            raise ConfigurationError(f"flip is {self.flip}; a probability lies between 0 and 1.")
        if not self.short_edges or min(self.short_edges) < 1:
            raise ConfigurationError(f"short_edges is {self.short_edges}; give one or more lengths in pixels.")
        if self.resume and self.overwrite:
            raise ConfigurationError("resume and overwrite exclude each other; choose one.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainArguments:
        """Builds arguments from a mapping.

        Raises:
            ConfigurationError: A key is unknown or missing, or a value cannot be used.
        """
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigurationError(f"Unknown training arguments {unknown}; known are {sorted(known)}.")
        required = [
            name
            for name, entry in known.items()
            if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        ]
        missing = [name for name in required if name not in values]
        if missing:
            raise ConfigurationError(f"Training needs {missing}; set them in the recipe or as {missing[0]}=VALUE.")
        return cls(**values)

    @classmethod
    def from_recipe(cls, recipe: str | Path | None = None, overrides: Sequence[str] = ()) -> TrainArguments:
        """Reads a YAML recipe and applies overrides from the command line.

        Args:
            recipe: A YAML file with arguments, or None for the defaults.
            overrides: Each "key=value", "--key=value", or the two words "--key", "value"; values are YAML.

        Raises:
            ConfigurationError: The file or an override cannot be read, or holds something unknown.

        Example:
            >>> TrainArguments.from_recipe("recipe.yaml", ["steps=100", "--learning_rate", "1e-3"]).steps
            100
        """
        values = {} if recipe is None else _read_mapping(Path(recipe))
        return cls.from_dict({**values, **_parse_overrides(overrides)})

    def to_yaml(self) -> str:
        """All arguments as a recipe."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The recipe {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"The recipe {path} must be a YAML mapping, with one 'argument: value' a line.")
    return values


def _parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    values = {}
    words = list(words)
    while words:
        word = words.pop(0)
        key, equals, text = word.removeprefix("--").partition("=")
        if not equals:
            if not word.startswith("--") or not words or words[0].startswith("--"):
                raise ConfigurationError(f"Cannot read the override {word!r}; write key=value or --key value.")
            text = words.pop(0)
        try:
            values[key.replace("-", "_")] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"The value of the override {key}={text} is not YAML: {error}") from error
    return values


def _convert(name: str, value: Any, hint: Any) -> Any:
    """Checks a value against a type, taking whole numbers, and "1e-4" (for YAML a string), where a float is wanted."""
    options = get_args(hint)
    if type(None) in options:
        return None if value is None else _convert(name, value, options[0])
    if get_origin(hint) is list and isinstance(value, (list, tuple)):
        return [_convert(name, item, options[0]) for item in value]
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {str(key): _convert(f"{name}[{key!r}]", item, options[1]) for key, item in value.items()}
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    if type(value) is hint:
        return value
    if hint is str and isinstance(value, Path):
        return str(value)
    wanted = hint.__name__ if isinstance(hint, type) and not options else str(hint)
    raise ConfigurationError(f"{name} is {value!r} ({type(value).__name__}); it must be of type {wanted}.")
