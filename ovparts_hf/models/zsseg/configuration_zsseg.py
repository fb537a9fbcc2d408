"""Configuration of ZSseg and ZSseg+."""

from collections.abc import Sequence
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CLIPTextConfig, CLIPVisionConfig
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ..configuration_utils import KNOWN_CLIP, OpenVocabularyConfig, map_auto_classes
from ..maskformer.configuration_maskformer import MaskClassificationConfig


@strict
class ZSSegConfig(OpenVocabularyConfig, MaskClassificationConfig):
    r"""Configuration of `ZSSegForPartSegmentation`: everything of `MaskClassificationConfig` and of
    `OpenVocabularyConfig`, and the following.

    With the defaults it is OV-PARTS' ZSseg+ with CPTCoOp. Plain ZSseg has `object_mask_prompt=False`,
    `prompt_lengths=None`, `region_size=224` and `ensemble_weight=0.7`.

    Args:
        eval_label_size: See `PartSegmentationConfig`; "benchmark" for (512, 768), or (512, 2048) for plain ZSseg.
        text_config: Configuration of CLIP's text tower.
        vision_config: Configuration of CLIP's vision tower.
        projection_dim: Dimension of the space that both are projected to.
        logit_scale_init_value: CLIP's own temperature; stored, but `temperature` is used.
        initializer_factor: Factor on the initialisation of CLIP.
        class_hidden_size: Width inside the head that maps queries to CLIP's space.
        object_mask_prompt: Whether the mask of an object is given, and only its parts are sought.
        prompt_lengths: Numbers of learned vectors before the object's name, between it and the part's, and after that;
            None for hand-written prompts.
        image_conditioned_prompts: Whether a small network moves the learned vectors by what CLIP sees of the object
            (CPTCoCoOp).
        temperature: Factor on cosine similarities.
        ensemble_weight: Share, as an exponent, of the queries' opinion on classes seen in training, and of CLIP's on
            the others.
        seen_class_names: The part classes that the queries were trained with, for the shares of both opinions.
        mask_threshold: Where a proposed mask is cut, plain ZSseg only.
        crop_ratio: Size of CLIP's crop to that of the box around the mask; None for 1.2, or 1.0 for plain ZSseg.
        region_size: Height and width in pixels that the crop is resized to for CLIP.
        image_mean: Per channel, of values 0 to 1: how `pixel_values` were normalised.
        image_std: As `image_mean`.
        clip_mean: Per channel, of values 0 to 1: how CLIP's images were normalised.
        clip_std: As `clip_mean`.
    """

    model_type = "ovparts_zsseg"
    base_model_type = "clip"
    known_pretrained = KNOWN_CLIP
    auto_classes = map_auto_classes("ZSSegConfig", "ZSSegForPartSegmentation")
    scores_none = False
    undecided = {"eval_label_size": "benchmark", "crop_ratio": None}
    sub_configs_defaults = {
        **MaskClassificationConfig.sub_configs_defaults,
        "text_config": CLIPTextConfig,
        "vision_config": CLIPVisionConfig,
    }

    eval_label_size: list[int] | tuple[int, int] | Literal["benchmark"] | None = "benchmark"
    text_config: dict | CLIPTextConfig | None = None
    vision_config: dict | CLIPVisionConfig | None = None
    projection_dim: int = 512
    logit_scale_init_value: float | int = 2.6592
    initializer_factor: float | int = 1.0
    class_hidden_size: int = 1024
    object_mask_prompt: bool = True
    prompt_lengths: list[int] | tuple[int, ...] | None = (4, 4, 0)
    image_conditioned_prompts: bool = False
    temperature: float | int = 100.0
    ensemble_weight: float | int = 0.5
    seen_class_names: list[str] | None = None
    mask_threshold: float | int = 0.5
    crop_ratio: float | int | None = None
    region_size: int = 384
    image_mean: list[float] | tuple[float, ...] = tuple(IMAGENET_DEFAULT_MEAN)
    image_std: list[float] | tuple[float, ...] = tuple(IMAGENET_DEFAULT_STD)
    clip_mean: list[float] | tuple[float, ...] = tuple(OPENAI_CLIP_MEAN)
    clip_std: list[float] | tuple[float, ...] = tuple(OPENAI_CLIP_STD)

    def __post_init__(self, **kwargs):
        if self.eval_label_size == "benchmark":
            self.eval_label_size = (512, 768 if self.object_mask_prompt else 2048)
        if self.crop_ratio is None:
            self.crop_ratio = 1.2 if self.object_mask_prompt else 1.0
        super().__post_init__(**kwargs)

    @classmethod
    def training_fields(cls, class_names: Sequence[str]) -> dict[str, Any]:
        """See `PartSegmentationConfig.training_fields`."""
        return {"seen_class_names": list(class_names)}

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        super().validate_architecture()
        if self.prompt_lengths is not None and len(self.prompt_lengths) != 3:
            raise ValueError(
                f"prompt_lengths is {self.prompt_lengths}; give three numbers (prefix, connect, suffix), or None."
            )
        if self.image_conditioned_prompts and not (self.prompt_lengths and self.object_mask_prompt):
            raise ValueError(
                "image_conditioned_prompts is set; it needs prompt_lengths and object_mask_prompt, and one is missing."
            )
        if self.object_mask_prompt and self.mask_feature_size != self.hidden_size:
            raise ValueError(
                f"mask_feature_size is {self.mask_feature_size} and hidden_size {self.hidden_size}; with "
                "object_mask_prompt they are added up and must be equal."
            )
        if not 0 <= self.ensemble_weight <= 1:
            raise ValueError(f"ensemble_weight is {self.ensemble_weight}; it must lie between 0 and 1.")
        if self.region_size % self.vision_config.patch_size:
            raise ValueError(
                f"region_size is {self.region_size}; it must be a multiple of the vision tower's patch size "
                f"({self.vision_config.patch_size})."
            )
