"""Configuration of the ResNet that guides CATSeg and carries the mask classification models."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import ResNetConfig

_PLAIN_STEM = {"embedding_size": 64, "deep_stem": False, "last_dilations": None}
RESNETS = {
    "resnet-50": {"depths": [3, 4, 6, 3], **_PLAIN_STEM},
    "resnet-101": {"depths": [3, 4, 23, 3], **_PLAIN_STEM},
    "resnet-101c": {
        "depths": [3, 4, 23, 3],
        "embedding_size": 128,
        "deep_stem": True,
        "last_dilations": [1, 2, 4],
    },
}
"""Fields of `PartResNetConfig` for detectron2's R50, R101 and R101c (its deeplab variant with a multi-grid)."""


@strict
class PartResNetConfig(ResNetConfig):
    r"""Configuration of `PartResNet`: everything of transformers' `ResNetConfig`, and the following.

    Args:
        deep_stem: Whether three 3 x 3 convolutions replace the 7 x 7 one of the stem (R101c).
        stem_pooling: Whether the stem ends with a pooling that halves the resolution, as in every released model.
        last_dilations: Dilation of the 3 x 3 convolution of each layer of the last stage, or None for 1 everywhere.
    """

    model_type = "ovparts_resnet"

    deep_stem: bool = False
    stem_pooling: bool = True
    last_dilations: list[int] | tuple[int, ...] | None = None

    def __post_init__(self, **kwargs):
        kwargs.setdefault("out_indices", list(range(1, len(self.depths) + 1)))
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Checks that there is a dilation for each layer of the last stage."""
        if self.last_dilations is not None and len(self.last_dilations) != self.depths[-1]:
            raise ValueError(
                f"last_dilations is {self.last_dilations}; the last stage has {self.depths[-1]} layers, give one each."
            )
