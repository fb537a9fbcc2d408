"""Configuration of CATSeg for parts."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

from ..configuration_utils import KNOWN_CLIP, VIT_B16, PartResNetConfig, ScoredNoneConfig, map_auto_classes


@strict
class CATSegConfig(ScoredNoneConfig, CLIPConfig):
    r"""Configuration of `CATSegForPartSegmentation`: everything of transformers' `CLIPConfig` and of
    `ScoredNoneConfig`, and the following.

    The defaults are those of the benchmark: CLIP ViT-B/16 and ResNet-101 at 384 x 384 pixels.

    Args:
        backbone_config: The ResNet that guides with what CLIP's coarse features lack; its last stage has the grid of
            CLIP's patches.
        image_size: Side in pixels of the image that CLIP sees, `pixel_values`.
        backbone_image_size: Side in pixels of the image that the ResNet sees, `backbone_pixel_values`; None where it
            sees `pixel_values`, too. CLIP ViT-L/14 has its 24 x 24 patches at 336 pixels, a ResNet without its last
            stage at 384.
        image_mean: Mean colour that was subtracted from `pixel_values`, which are normalised for CLIP.
        image_std: What they were divided by.
        backbone_image_mean: Mean colour that the ResNet was trained with.
        backbone_image_std: And its deviation.
        num_templates: Sentences for each class name; each is one channel of the correlation volume.
        hidden_size: Channels of the aggregated volume.
        num_hidden_layers: Aggregator layers, each spatial and then across classes.
        num_attention_heads: Heads in both.
        window_size: Side of the attention windows in patches; divides the grid.
        pooling_size: Attention across classes runs on patches averaged over squares of this side.
        text_guidance_size: Channels of the projected class features.
        image_guidance_size: Channels of the projected last ResNet stage.
        decoder_sizes: Channels after each doubling of the resolution.
        decoder_guidance_sizes: Channels of the projected ResNet stages that guide them.
        text_precision: "float32", or "float16" to encode class names in half precision as the original does.
    """

    model_type = "ovparts_catseg"
    base_model_type = "clip"
    auto_classes = map_auto_classes("CATSegConfig", "CATSegForPartSegmentation")
    known_pretrained = {**KNOWN_CLIP, "models/catseg-base": lambda: CATSegConfig(**VIT_B16)}
    sub_configs: ClassVar = {
        "text_config": CLIPTextConfig,
        "vision_config": CLIPVisionConfig,
        "backbone_config": PartResNetConfig,
    }

    backbone_config: dict[str, Any] | PartResNetConfig | None = None
    image_size: int = 384
    backbone_image_size: int | None = None
    image_mean: list[float] | tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    image_std: list[float] | tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    backbone_image_mean: list[float] | tuple[float, ...] = (0.485, 0.456, 0.406)
    backbone_image_std: list[float] | tuple[float, ...] = (0.229, 0.224, 0.225)
    num_templates: int = 80
    hidden_size: int = 128
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    window_size: int = 12
    pooling_size: int = 2
    text_guidance_size: int = 128
    image_guidance_size: int = 128
    decoder_sizes: list[int] | tuple[int, ...] = (64, 32)
    decoder_guidance_sizes: list[int] | tuple[int, ...] = (32, 16)
    eval_label_size: list[int] | tuple[int, int] | None = (640, 768)
    text_precision: str = "float32"

    def __post_init__(self, **kwargs):
        if not isinstance(self.backbone_config, PartResNetConfig):
            self.backbone_config = PartResNetConfig(**(self.backbone_config or RESNET_101))
        super().__post_init__(**kwargs)

    @property
    def grid_size(self) -> int:
        """CLIP's patches along a side of the image."""
        return self.image_size // self.vision_config.patch_size

    @property
    def guidance_size(self) -> int:
        """Side in pixels of the image that the ResNet sees."""
        return self.image_size if self.backbone_image_size is None else self.backbone_image_size

    @property
    def backbone_stride(self) -> int:
        """Pixels along a side of a cell of the ResNet's last stage."""
        stem = 4 if self.backbone_config.stem_pooling else 2
        return stem * 2 ** (len(self.backbone_config.depths) - 1)

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        super().validate_architecture()
        self._validate_sizes(len(self.backbone_config.depths), "ResNet stages")

    def _validate_sizes(self, stages: int, of_backbone: str) -> None:
        if self.text_precision not in ("float32", "float16"):
            raise ValueError(f"text_precision is {self.text_precision!r}; choose 'float32' or 'float16'.")
        guided = len(self.decoder_sizes)
        if guided != len(self.decoder_guidance_sizes) or guided != stages - 1:
            raise ValueError(
                f"decoder_sizes {self.decoder_sizes} and decoder_guidance_sizes {self.decoder_guidance_sizes} need one "
                f"entry for each of the {stages - 1} {of_backbone} before the last."
            )
        if self.grid_size > self.window_size and self.grid_size % self.window_size:
            raise ValueError(
                f"window_size {self.window_size} does not divide the grid of {self.grid_size} patches; choose a "
                "divisor, or an image_size that fits (CLIP ViT-L/14: image_size 336 with backbone_image_size 384)."
            )
        if self.grid_size % self.pooling_size:
            raise ValueError(f"pooling_size {self.pooling_size} does not divide the grid of {self.grid_size} patches.")


RESNET_101 = {"hidden_sizes": [256, 512, 1024], "depths": [3, 4, 23]}
"""The benchmark's backbone: ResNet-101 without its last stage."""
