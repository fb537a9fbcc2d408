"""What can be set about a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import ConfigurationError
from ..models.configuration_utils import SEGMENTATION_LOSSES
from ..taxonomy.tasks import get_task
from .recipe import Recipe

SCHEDULES = ("poly", "cosine", "constant")
OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True, kw_only=True)
class LoopArguments(Recipe):
    """Settings of the training loop, whatever is trained.

    Args:
        data: Folder or Hub id of a prepared dataset.
        output: Folder to write to: `arguments.yaml`, `log.jsonl`, the models `best` and `last`, and `states`.
        model: What to start from, see the subclass.
        task: Name of the benchmark task.
        steps: Optimiser steps.
        batch_size: Examples in a step, over all processes and accumulation.
        micro_batch_size: Examples that a process takes at once; gradients are accumulated over the rest of its share of
            the batch. None takes the share at once.
        optimizer: "adamw", or "sgd" with momentum 0.9.
        learning_rate: At the start of the schedule.
        weight_decay: Of all but embeddings and normalisation layers.
        lr_multipliers: Factors on the learning rate by the beginning of parameter names; the longest match counts.
        schedule: "poly" (power 0.9), "cosine" or "constant".
        warmup_steps: Steps over which the learning rate first rises linearly.
        max_grad_norm: Limit of the gradient norm of the whole model; 0 for none.
        mixed_precision: "no", "bf16" or "fp16".
        workers: Processes that load data, for each training process; 0 loads in the process itself.
        seed: Of everything random.
        log_every: Steps between lines of the log.
        save_every: Steps between states that a run can be resumed from; 0 saves one only when interrupted.
        log_with: Tracker known to accelerate, such as "trackio", "tensorboard" or "wandb"; None for none.
        resume: Continue from the newest state in `output`, or start if there is no run there yet.
        overwrite: Remove an earlier run in `output`.

    Raises:
        ConfigurationError: A value is out of range or of another type.
    """

    choices: ClassVar = {
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "mixed_precision": ("no", "bf16", "fp16"),
    }
    at_least: ClassVar = {
        "steps": 1,
        "batch_size": 1,
        "micro_batch_size": 1,
        "log_every": 1,
        "learning_rate": 0,
        "weight_decay": 0,
        "max_grad_norm": 0,
        "warmup_steps": 0,
        "save_every": 0,
        "workers": 0,
        "seed": 0,
    }
    eval_every: ClassVar[int] = 0  # nothing is evaluated on the way, unless a subclass makes this a field

    data: str
    output: str
    model: str
    task: str = "zero_shot"
    steps: int = 20_000
    batch_size: int = 8
    micro_batch_size: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    lr_multipliers: dict[str, float] = field(default_factory=dict)
    schedule: str = "poly"
    warmup_steps: int = 0
    max_grad_norm: float = 0.01
    mixed_precision: str = "no"
    workers: int = 2
    seed: int = 0
    log_every: int = 50
    save_every: int = 1000
    log_with: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        get_task(self.task)
        if self.resume and self.overwrite:
            raise ConfigurationError("resume and overwrite exclude each other; choose one.")


@dataclass(frozen=True, kw_only=True)
class TrainArguments(LoopArguments):
    """Settings of one training run; the defaults are those of the benchmark's CLIPSeg.

    Args:
        data: As all others that are not listed here, see `LoopArguments`.
        model: What to start from: a folder or Hub id with stock CLIPSeg weights or with a model of this library, or
            "toy" for the small weights that come with it.
        family: What a stock model becomes, if several families can start from it: "catseg", "zsseg", "maskformer".
        config: Fields of the model's configuration to set.
        backbone: Folder or Hub id of a ResNet trained on ImageNet that the model's backbone starts from; a file with
            detectron2's names will do, too. None leaves the backbone as `model` has it.
        prompts: Folder of tuned prompts for ZSseg+, or None.
        eval_data: Dataset of the evaluations during training; None for `data`.
        trainable: What is fine-tuned, see the model's `set_trainable`.
        few_shot_list: File of `ovparts few-shot` with the images of task "few_shot"; None for those of the release.
        loss: "bce" (the benchmark) or "ce_dice"; None keeps the model's.
        classes_per_image: Score, for each image, only the parts of its labelled objects and so many random other
            classes that there are this many (faster, and less memory); None scores the whole vocabulary.
        level: Whether an example is a "image" or one "object" of an image; None for what the benchmark does.
        object_map: "correct", or "ov_parts" to train ZSseg+ on Pascal-Part-116 with the original's empty masks of some
            objects (docs/differences.md).
        short_edges: Lengths in pixels to which the short side of a training image is scaled, drawn uniformly.
        max_size: Limit of the long side in pixels.
        crop_size: Crop a random square of this side and pad what is smaller; None for neither.
        color_jitter: Whether to change colours at random.
        flip: Probability of mirroring left and right.
        image_format: Channel order that the model is trained with. The benchmark trains CLIPSeg on BGR and tests it on
            RGB.
        eval_every: Steps between evaluations; 0 for none at all. With any, the end is evaluated too.
        eval_batch_size: Images in a forward pass of an evaluation.

    Raises:
        ConfigurationError: A value is out of range or of another type.
    """

    choices: ClassVar = {
        **LoopArguments.choices,
        "loss": SEGMENTATION_LOSSES,
        "level": ("image", "object"),
        "object_map": ("correct", "ov_parts"),
        "image_format": ("RGB", "BGR"),
    }
    at_least: ClassVar = {
        **LoopArguments.at_least,
        "classes_per_image": 1,
        "max_size": 1,
        "crop_size": 1,
        "eval_batch_size": 1,
        "eval_every": 0,
    }

    family: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    backbone: str | None = None
    prompts: str | None = None
    eval_data: str | None = None
    few_shot_list: str | None = None
    trainable: str = "VA+L+F+D"
    loss: str | None = None
    classes_per_image: int | None = None
    level: str | None = None
    object_map: str = "correct"
    short_edges: list[int] = field(default_factory=lambda: [800])
    max_size: int = 1333
    crop_size: int | None = None
    color_jitter: bool = False
    flip: float = 0.5
    image_format: str = "RGB"
    eval_every: int = 5000
    eval_batch_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.few_shot_list is not None and get_task(self.task).train_config == "default":
            raise ConfigurationError(f"few_shot_list was given for the task {self.task!r}; only 'few_shot' takes one.")
        if not 0 <= self.flip <= 1:
            raise ConfigurationError(f"flip is {self.flip}; a probability lies between 0 and 1.")
        if not self.short_edges or min(self.short_edges) < 1:
            raise ConfigurationError(f"short_edges is {self.short_edges}; give one or more lengths in pixels.")
