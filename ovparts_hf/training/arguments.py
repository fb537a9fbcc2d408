"""The settings of training runs: of models and of prompts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from ..errors import ConfigurationError
from ..taxonomy.tasks import get_task
from .recipe import NonNegativeFloat, NonNegativeInt, PositiveInt, Recipe

_LARGEST_SEED = 2**32 - 1  # of numpy
OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["poly", "cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class LoopArguments(Recipe):
    """Settings of the training loop, whatever is trained.

    Args:
        data: Folder or Hub id of a prepared dataset.
        output: Folder to write to: `arguments.yaml`, `log.jsonl`, the models `best` and `last`, and `checkpoints`.
        model: What to start from, see the subclass.
        task: Name of the benchmark task.
        steps: Optimiser steps.
        batch_size: Examples per step, over all processes and accumulated micro-batches.
        micro_batch_size: Examples per forward pass of a process; gradients are accumulated over the micro-batches of
            its share of the batch. None takes the share in one pass.
        optimizer: "adamw", or "sgd" with momentum 0.9.
        learning_rate: At the start of the schedule.
        weight_decay: For all parameters but those of embeddings and normalisation layers.
        lr_multipliers: Factors on the learning rate by prefix of parameter names; the longest match counts.
        schedule: "poly" (power 0.9), "cosine" or "constant".
        warmup_steps: Steps over which the learning rate first rises linearly.
        warmup_factor: Factor on the learning rate during these steps, which then does not rise; None for the rise.
        max_grad_norm: Gradients are clipped to this norm, over the whole model; 0 for no clipping.
        mixed_precision: "no", "bf16" or "fp16". "fp16" needs a GPU. A CPU without bf16 instructions computes in float32
            instead of "bf16", which would be slower there.
        threads: CPU threads that each process computes with; None for PyTorch's choice, one for each core. Small models
            are best trained with 1, see docs/training.md.
        workers: Data loading processes per training process; 0 loads in the process itself.
        seed: Seed of everything random.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints to resume from; 0 saves one only before evaluations, at the end and when
            interrupted.
        time_limit: Seconds of training after which the step at hand is the last one, whatever the schedule; None for no
            limit.
        log_with: Tracker known to accelerate, such as "trackio", "tensorboard" or "wandb"; None for none. A recipe may
            also call it `tracker`.
        resume: Continue from the newest intact checkpoint in `output`, or start if there is no run there yet.
        overwrite: Remove an earlier run in `output`.

    Raises:
        ConfigurationError: A value is out of range or of another type.
    """

    eval_every: ClassVar[int] = 0  # nothing is evaluated during training, unless a subclass makes this a field
    patience: ClassVar[int | None] = None
    sample_images: ClassVar[int] = 0

    data: str
    output: str
    model: str
    task: str = "zero_shot"
    steps: PositiveInt = 20_000
    batch_size: PositiveInt = 8
    micro_batch_size: PositiveInt | None = None
    optimizer: OptimizerName = "adamw"
    learning_rate: NonNegativeFloat = 1e-4
    weight_decay: NonNegativeFloat = 1e-4
    lr_multipliers: dict[str, float] = field(default_factory=dict)
    schedule: ScheduleName = "poly"
    warmup_steps: NonNegativeInt = 0
    warmup_factor: NonNegativeFloat | None = None
    max_grad_norm: NonNegativeFloat = 0.01
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    threads: PositiveInt | None = None
    workers: NonNegativeInt = 2
    seed: NonNegativeInt = 0
    log_every: PositiveInt = 50
    save_every: NonNegativeInt = 1000
    time_limit: NonNegativeFloat | None = None
    log_with: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        get_task(self.task)
        if self.seed > _LARGEST_SEED:
            raise ConfigurationError(f"seed is {self.seed}; it must be at most {_LARGEST_SEED}.")
        for name, factor in self.lr_multipliers.items():
            if not 0 <= factor < math.inf:
                raise ConfigurationError(f"The factor of {name!r} in lr_multipliers is {factor}; give 0 or more.")
        if self.resume and self.overwrite:
            raise ConfigurationError("resume and overwrite exclude each other; choose one.")


@dataclass(frozen=True, kw_only=True)
class TrainArguments(LoopArguments):
    """Settings of one training run; the defaults are those of the benchmark's CLIPSeg.

    Args:
        data: For this argument and all others that are not listed here, see `LoopArguments`.
        model: What to start from: a folder or Hub id with pretrained weights (CLIPSeg, CLIP, a ResNet) or with a model
            of this library, or one of the small models that come with it, such as "toy".
        family: What a pretrained model becomes, if several families can start from it: a name in
            `ovparts convert --help`, such as "partclipseg" of a CLIPSeg or "catseg" of a CLIP.
        config: Fields of the model's configuration to set.
        backbone: ResNet that the model's backbone starts from: folder or Hub id of one of timm or transformers, such as
            "timm/resnet50.tv_in1k", or a file with detectron2's names. None leaves the backbone of `model` as it is.
        prompts: Folder of tuned prompts for ZSseg+, or None.
        eval_data: Dataset of the evaluations during training; None for `data`.
        held_out: Share of the training images that is not trained on: the evaluations during training take these images
            instead of the validation split, so that choosing `best` and stopping early leave that split untouched.
            None holds nothing out.
        trainable: What is fine-tuned, see the model's `set_trainable`.
        few_shot_list: File of `ovparts few-shot` with the images of task "few_shot"; None for those of the release.
        loss: "bce" (the benchmark) or "ce_dice"; None keeps the model's.
        gradient_checkpointing: Compute again in the backward pass what the forward pass does not keep: less memory, the
            same gradients. CLIPSeg decodes a few classes at once then.
        class_chunk: Decode so many classes of an image at once, and compute them again in the backward pass: less
            memory where there are many classes, the same gradients. Not every family can; None decodes all at once.
        classes_per_image: Score only this many classes per image: the parts of its labelled objects, all of them, and
            random others (faster, and less memory). None scores the whole vocabulary.
        level: Whether an example is an "image" or one "object" of an image; None for what the benchmark does, and for
            objects if the model looks for parts in crops of them (`config: {object_crop_margin: 0.15}`).
        object_map: "correct", or "ov_parts" to train ZSseg+ on Pascal-Part-116 with the original's empty masks of some
            objects (docs/differences.md).
        short_edges: Lengths in pixels that the short side of a training image is resized to, drawn uniformly; None
            keeps its size.
        max_size: Limit of the long side in pixels.
        crop_size: Crop a random square of this side and pad smaller images to it; None for neither.
        color_jitter: Whether to change colours at random.
        flip: Probability of mirroring left and right.
        image_format: "RGB" or "BGR", the channel order in training. The benchmark trains CLIPSeg on BGR and tests it
            on RGB.
        eval_every: Steps between evaluations, one of which is after the last step; 0 for none at all.
        patience: Evaluations without a better headline metric after which training ends; None for the whole number of
            steps.
        eval_batch_size: Images per forward pass of an evaluation.
        sample_images: Records of which image, ground truth and prediction are drawn at each evaluation, for the report.

    Raises:
        ConfigurationError: A value is out of range or of another type.
    """

    family: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    backbone: str | None = None
    prompts: str | None = None
    eval_data: str | None = None
    held_out: float | None = None
    few_shot_list: str | None = None
    trainable: str = "VA+L+F+D"
    loss: Literal["bce", "ce_dice"] | None = None
    gradient_checkpointing: bool = False
    class_chunk: PositiveInt | None = None
    classes_per_image: PositiveInt | None = None
    level: Literal["image", "object"] | None = None
    object_map: Literal["correct", "ov_parts"] = "correct"
    short_edges: list[int] | None = field(default_factory=lambda: [800])
    max_size: PositiveInt = 1333
    crop_size: PositiveInt | None = None
    color_jitter: bool = False
    flip: float = 0.5
    image_format: Literal["RGB", "BGR"] = "RGB"
    eval_every: NonNegativeInt = 5000
    patience: PositiveInt | None = None
    eval_batch_size: PositiveInt = 8
    sample_images: NonNegativeInt = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.few_shot_list is not None and get_task(self.task).train_config == "default":
            raise ConfigurationError(f"few_shot_list was given for the task {self.task!r}; only 'few_shot' takes one.")
        self._check_held_out()
        if not 0 <= self.flip <= 1:
            raise ConfigurationError(f"flip is {self.flip}; a probability lies between 0 and 1.")
        if self.short_edges is not None and (not self.short_edges or min(self.short_edges) < 1):
            raise ConfigurationError(f"short_edges is {self.short_edges}; give one or more lengths in pixels.")

    def _check_held_out(self) -> None:
        if self.held_out is None:
            return
        if not 0 < self.held_out < 1:
            raise ConfigurationError(f"held_out is {self.held_out}; a share of the images lies between 0 and 1.")
        if self.eval_data is not None:
            raise ConfigurationError("held_out and eval_data both say what to evaluate on during training; choose one.")
        if get_task(self.task).train_vocabulary == "seen":
            raise ConfigurationError(
                f"held_out was given for the task {self.task!r}: its training images show unseen objects, whose labels "
                "would decide when to stop. Leave held_out out, or choose 'supervised' or 'few_shot'."
            )


@dataclass(frozen=True, kw_only=True)
class PromptTuningArguments(LoopArguments):
    """Settings of prompt tuning.

    OV-PARTS published neither the code nor the settings of its prompt tuning. The defaults are those of ZSseg (Xu et
    al., ECCV 2022) for Pascal VOC: SGD with learning rate 0.02, momentum and decay 5e-4, cosine, 3,200 steps of 32
    regions, of which the first 100 at 0.005 times the rate, 128 regions per class, gradients clipped to norm 0.01.

    Args:
        data: For this argument and all others that are not listed here, see `LoopArguments`.
        output: The tuned prompts are written to its subfolder `last`, for `LearnedPrompts.from_pretrained`.
        model: A folder or Hub id of a pretrained CLIP, or "toy" for the small one that comes with the library.
        task: In zero-shot tuning, only the parts of seen objects occur.
        prefix: Number of learned vectors before the name.
        connect: Number of learned vectors between the object's name and the part's; 0 for CoOp.
        suffix: Number of learned vectors after the name.
        image_conditioned: Whether CLIP's feature of the object shifts the vectors (CPTCoCoOp).
        fuse_weight: Initial value of the learned weight of the part's feature against the object's. At 0, where the
            original's starts, the first gradients do not depend on the parts.
        temperature: Factor on cosine similarities.
        crop_ratio: Side of CLIP's crop relative to that of the box around the object.
        region_size: Height and width in pixels that the crop is resized to for CLIP.
        samples_per_class: Regions of each class, drawn once; None takes all.
        cache: Folder where the features of regions are kept between runs.
    """

    prefix: NonNegativeInt = 4
    connect: NonNegativeInt = 4
    suffix: NonNegativeInt = 0
    image_conditioned: bool = False
    fuse_weight: float = 1.0
    temperature: float = 100.0
    crop_ratio: Annotated[float, 1] = 1.2
    region_size: PositiveInt = 384
    samples_per_class: PositiveInt | None = 128
    cache: str = "outputs/features"
    steps: PositiveInt = 3200
    batch_size: PositiveInt = 32
    optimizer: OptimizerName = "sgd"
    learning_rate: NonNegativeFloat = 0.02
    weight_decay: NonNegativeFloat = 5e-4
    schedule: ScheduleName = "cosine"
    warmup_steps: NonNegativeInt = 100
    warmup_factor: NonNegativeFloat | None = 0.005
    save_every: NonNegativeInt = 0

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Numbers of learned vectors: prefix, connect, suffix."""
        return self.prefix, self.connect, self.suffix
