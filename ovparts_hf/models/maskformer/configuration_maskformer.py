"""Configuration of mask classification models, and of MaskFormer for parts."""

from collections.abc import Sequence
from typing import Any, Self

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig, ResNetConfig

from ..configuration_utils import PartResNetConfig, PartSegmentationConfig, map_auto_classes


@strict
class MaskClassificationConfig(PartSegmentationConfig):
    r"""Configuration of the parts that MaskFormer (Cheng et al., NeurIPS 2021) and models on top of it share:
    everything of `PartSegmentationConfig`, and the following.

    Args:
        backbone_config: Configuration of the ResNet.
        fpn_feature_size: Channels of the pixel decoder, a multiple of 32 (its groups of normalisation).
        mask_feature_size: Channels of the per-pixel embeddings that masks are read from.
        hidden_size: Width of the transformer decoder.
        num_queries: How many masks are proposed.
        decoder_layers: Layers of the transformer decoder.
        decoder_attention_heads: Heads of each of its attention layers.
        decoder_ffn_dim: Width inside its feed-forward layers.
        activation_function: Their activation.
        dropout: After attention and feed-forward layers.
        attention_dropout: Of attention probabilities.
        activation_dropout: Inside feed-forward layers.
        no_object_weight: Weight of "no object" against 1 for a class in the cross-entropy.
        cross_entropy_weight: Weight of the cross-entropy in loss and matching cost.
        mask_weight: Weight of the focal loss of masks in loss and matching cost.
        dice_weight: Weight of the Dice loss of masks in loss and matching cost.
        mask_loss_stride: Compares masks with labels at every n-th pixel along each side; 1 for all, as the benchmark
            does, 4 for one for each pixel of a mask, which costs a sixteenth (Mask2Former, Cheng et al., CVPR 2022,
            section 3.3, samples points for the same reason). Divides 32.
    """

    sub_configs_defaults = {"backbone_config": PartResNetConfig}
    attribute_map = {"d_model": "hidden_size"}

    eval_label_size: list[int] | tuple[int, int] | None = (512, 2048)
    backbone_config: dict | PartResNetConfig | None = None
    fpn_feature_size: int = 256
    mask_feature_size: int = 256
    hidden_size: int = 256
    num_queries: int = 100
    decoder_layers: int = 6
    decoder_attention_heads: int = 8
    decoder_ffn_dim: int = 2048
    activation_function: str = "relu"
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    activation_dropout: float | int = 0.1
    no_object_weight: float | int = 0.1
    cross_entropy_weight: float | int = 1.0
    mask_weight: float | int = 20.0
    dice_weight: float | int = 1.0
    mask_loss_stride: int = 1

    def __post_init__(self, **kwargs):
        if not isinstance(self.backbone_config, PartResNetConfig):  # transformers looks only among its own backbones
            self.backbone_config = PartResNetConfig(**(self.backbone_config or {}))
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Checks sizes that would only fail inside a layer."""
        if self.hidden_size % self.decoder_attention_heads or self.hidden_size % 4:
            raise ValueError(
                f"hidden_size is {self.hidden_size}; it must be a multiple of 4 and of decoder_attention_heads "
                f"({self.decoder_attention_heads})."
            )
        if self.fpn_feature_size % 32:
            raise ValueError(f"fpn_feature_size is {self.fpn_feature_size}; it must be a multiple of 32.")
        if self.mask_loss_stride < 1 or 32 % self.mask_loss_stride:
            raise ValueError(f"mask_loss_stride is {self.mask_loss_stride}; it must divide 32, e.g. 4.")


@strict
class MaskFormerPartConfig(MaskClassificationConfig):
    r"""Configuration of `MaskFormerForPartSegmentation`: everything of `MaskClassificationConfig`.

    Its classes are those of `id2label` (or as many as `num_labels`), in that order.
    """

    model_type = "ovparts_maskformer"
    base_model_type = "resnet"
    known_pretrained = dict.fromkeys(("microsoft/resnet-50", "timm/resnet50.tv_in1k"), ResNetConfig)
    requires_base_model = False
    has_closed_vocabulary = True
    auto_classes = map_auto_classes("MaskFormerPartConfig", "MaskFormerForPartSegmentation")

    @classmethod
    def from_base_config(cls, base: PreTrainedConfig, **fields: Any) -> Self:
        """See `PartSegmentationConfig.from_base_config`; the base is the backbone."""
        names = ("embedding_size", "hidden_sizes", "depths", "downsample_in_bottleneck")
        return cls(**{"backbone_config": {name: getattr(base, name) for name in names}, **fields})

    @classmethod
    def training_fields(cls, class_names: Sequence[str]) -> dict[str, Any]:
        """See `PartSegmentationConfig.training_fields`."""
        labels = dict(enumerate(class_names))
        return {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}
