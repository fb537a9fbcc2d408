"""Configuration of PartCATSeg."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import CLIPTextConfig, CLIPVisionConfig, Dinov2Config

from ..catseg.configuration_catseg import CATSegConfig
from ..configuration_utils import VIT_B16, ScoredNoneConfig, map_auto_classes

CLASS_ATTENTIONS = ("query", "linear")
FEATURE_MAPS = 3


@strict
class GuidanceDinov2Config(Dinov2Config):
    r"""Configuration of `GuidanceDinov2`: everything of transformers' `Dinov2Config`, and the following.

    The defaults are those of DINOv2 ViT-S/14.

    Args:
        position_offset: Added to the side of the grid that positions are resized to, as DINOv2's own code does: the
            factor is (side + offset) / native side. 0 resizes to the side itself, as transformers' `Dinov2Model` does.
    """

    model_type = "ovparts_dinov2"

    hidden_size: int = 384
    num_attention_heads: int = 6
    image_size: int | list[int] | tuple[int, int] = 518
    use_mask_token: bool = False
    position_offset: float | int = 0.1

    def __post_init__(self, **kwargs):
        for name in ("stage_names", "out_features", "out_indices"):  # follow from the number of layers
            kwargs.pop(name, None)
        super().__post_init__(**kwargs)

    @property
    def hidden_sizes(self) -> list[int]:
        """Channels of each feature map, which are three sizes of one."""
        return [self.hidden_size] * FEATURE_MAPS


@strict
class PartCATSegConfig(CATSegConfig):
    r"""Configuration of `PartCATSegForPartSegmentation`: everything of `CATSegConfig`, and the following.

    The defaults are those of the paper: CLIP ViT-B/16 at 384 x 384 pixels and DINOv2 ViT-S/14 at 448 x 448.

    Args:
        backbone_config: The DINOv2 that guides with what CLIP's coarse features lack.
        backbone_image_size: Side in pixels of the image that DINOv2 sees; its grid may differ from that of CLIP.
        backbone_weights: A folder or Hub id of transformers' DINOv2 weights ("facebook/dinov2-small"), with which a new
            model starts; None for random ones.
        text_weights: A folder or Hub id of transformers' CLIP weights ("openai/clip-vit-base-patch16") whose text
            encoder replaces that of a checkpoint or of the pretrained model; None to keep it. The original encodes
            class names by OpenAI's CLIP whatever its checkpoints hold.
        class_attention: "query", the attention across classes of the published models, or "linear", that of CAT-Seg,
            which the original's configuration asks for in vain.
        copy_pretrained_layers: Whether the layers and the correlation embedding of part classes start as copies of
            CAT-Seg's when its checkpoint is converted. The original copies them before CAT-Seg's weights are loaded, so
            that they start at random.
        part_weight: Weight of the loss of part names.
        object_weight: Weight of the loss of objects.
        divergence_weight: Weight of the Jensen-Shannon divergence between objects and the sums over their parts.
    """

    model_type = "ovparts_partcatseg"
    known_pretrained = {"models/partcatseg-base": lambda: PartCATSegConfig(**VIT_B16)}
    auto_classes = map_auto_classes("PartCATSegConfig", "PartCATSegForPartSegmentation")
    sub_configs: ClassVar = {
        "text_config": CLIPTextConfig,
        "vision_config": CLIPVisionConfig,
        "backbone_config": GuidanceDinov2Config,
    }

    backbone_config: dict[str, Any] | GuidanceDinov2Config | None = None
    backbone_image_size: int | None = 448
    backbone_weights: str | None = None
    text_weights: str | None = None
    class_attention: str = "query"
    copy_pretrained_layers: bool = False
    part_weight: float | int = 1.0
    object_weight: float | int = 1.0
    divergence_weight: float | int = 1.0

    def __post_init__(self, **kwargs):
        if not isinstance(self.backbone_config, GuidanceDinov2Config):
            self.backbone_config = GuidanceDinov2Config(**(self.backbone_config or {}))
        super(CATSegConfig, self).__post_init__(**kwargs)  # CATSeg's own makes a ResNet

    @property
    def backbone_stride(self) -> int:
        """Pixels along a side of one of DINOv2's patches."""
        return self.backbone_config.patch_size

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        ScoredNoneConfig.validate_architecture(self)
        self._validate_sizes(FEATURE_MAPS, "DINOv2 feature maps")
        if self.class_attention not in CLASS_ATTENTIONS:
            raise ValueError(f"class_attention is {self.class_attention!r}; choose one of {list(CLASS_ATTENTIONS)}.")
        if self.guidance_size % self.backbone_stride:
            raise ValueError(
                f"backbone_image_size is {self.guidance_size}; DINOv2 needs a multiple of its patches of "
                f"{self.backbone_stride} pixels."
            )
        for name in ("part_weight", "object_weight", "divergence_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give 0 or more.")
