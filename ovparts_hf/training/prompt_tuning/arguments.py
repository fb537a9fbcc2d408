"""The settings of prompt tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..arguments import LoopArguments, OptimizerName, ScheduleName
from ..recipe import NonNegativeFloat, NonNegativeInt, PositiveInt


@dataclass(frozen=True, kw_only=True)
class PromptTuningArguments(LoopArguments):
    """Settings of prompt tuning.

    OV-PARTS published neither the code nor the settings of its prompt tuning. The defaults are those of ZSseg (Xu et
    al., ECCV 2022) for Pascal VOC: SGD with learning rate 0.02, momentum and decay 5e-4, cosine, 3,200 steps of 32
    regions, 128 regions per class, gradients clipped to norm 0.01. ZSseg warms up at a constant rate; here it rises
    linearly.

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
    save_every: NonNegativeInt = 0

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Numbers of learned vectors: prefix, connect, suffix."""
        return self.prefix, self.connect, self.suffix
