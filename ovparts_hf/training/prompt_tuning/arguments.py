"""What can be set about prompt tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import LoopArguments


@dataclass(frozen=True, kw_only=True)
class PromptTuningArguments(LoopArguments):
    """Settings of prompt tuning.

    OV-PARTS published neither the code nor the settings of its prompt tuning. The defaults are those of ZSseg (Xu et
    al., ECCV 2022) for Pascal VOC: SGD 0.02 with momentum and decay 5e-4, cosine, 3,200 steps of 32 regions, 128
    regions a class, gradients limited to norm 0.01. They warm up with a constant, here the rate rises linearly.

    Args:
        data: As all others that are not listed here, see `LoopArguments`.
        output: The tuned prompts are in its subfolder `last`, for `LearnedPrompts.from_pretrained`.
        model: A folder or Hub id with stock CLIP weights, or "toy" for the small ones that come with the library.
        task: Zero-shot tuning knows the parts of seen objects only.
        prefix: Number of learned vectors before the name.
        connect: Number of learned vectors between the object's name and the part's; 0 for CoOp.
        suffix: Number of learned vectors after the name.
        image_conditioned: Whether what CLIP sees of the object moves the vectors (CPTCoCoOp).
        fuse_weight: What the learned weight of the part's feature against the object's starts from. At 0, where the
            original's starts, the first gradients are blind to parts.
        temperature: Factor on cosine similarities.
        crop_ratio: Of CLIP's crop to the box around the object.
        region_size: Height and width in pixels that the crop is resized to for CLIP.
        samples_per_class: Regions of each class, drawn once; None takes all.
        cache: Folder where the features of regions are kept from run to run.
    """

    at_least: ClassVar = {
        **LoopArguments.at_least,
        "prefix": 0,
        "connect": 0,
        "suffix": 0,
        "region_size": 1,
        "crop_ratio": 1,
        "samples_per_class": 1,
    }

    prefix: int = 4
    connect: int = 4
    suffix: int = 0
    image_conditioned: bool = False
    fuse_weight: float = 1.0
    temperature: float = 100.0
    crop_ratio: float = 1.2
    region_size: int = 384
    samples_per_class: int | None = 128
    cache: str = "outputs/features"
    steps: int = 3200
    batch_size: int = 32
    optimizer: str = "sgd"
    learning_rate: float = 0.02
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup_steps: int = 100
    save_every: int = 0

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Numbers of learned vectors: prefix, connect, suffix."""
        return self.prefix, self.connect, self.suffix
