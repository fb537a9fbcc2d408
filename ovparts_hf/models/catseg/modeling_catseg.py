"""CAT-Seg (Cho et al., CVPR 2024) as OV-PARTS (NeurIPS 2023, section 4.2) fine-tunes it for parts.

CLIP says how much each place of an image is like each class name; an aggregator, guided by a ResNet, turns this
correlation volume into a map for each class. For parts, one more row, "none", competes for unlabelled pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, CLIPModel
from transformers import initialization as init
from transformers.models.clip.modeling_clip import CLIPAttention, CLIPEncoderLayer, CLIPPreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from ...errors import ConfigurationError
from ..arguments import check_keywords, selected_rows
from ..clip import dense_features, text_features
from ..loss import part_segmentation_loss
from ..modeling_utils import OpenVocabularyModel, PartSegmentationOutput, init_like_torch
from ..processing import PartSegmentationProcessor
from ..resnet import PartResNet
from .aggregator import Aggregator
from .configuration_catseg import CATSegConfig
from .image_processing_catseg import CATSegImageProcessor, merge_windows

IMAGENET_TEMPLATES = (resources.files(__package__) / "imagenet_templates.txt").read_text(encoding="utf-8").splitlines()
"""The 80 sentences for ImageNet that were published with CLIP (Radford et al., ICML 2021). Their order matters: each is
one channel of the correlation volume."""


class CATSegForPartSegmentation(OpenVocabularyModel, CLIPPreTrainedModel):
    """CAT-Seg with a "none" row, for open-vocabulary part segmentation.

    Classes influence each other: the scores of a class depend on the whole vocabulary that it is given with. So all
    classes take part in the aggregation; `class_mask` only chooses those that are decoded. Most layers take the classes
    in groups that fit the memory (`aggregator.NUMBERS_AT_ONCE`); the volume of all classes and the attention across
    them are held at once, about 2 MB for each class at full size.

    `hidden_states` and `attentions` are those of CLIP's image encoder but for its last layer, whose attention only maps
    values; for windows image after image.

    Also loads stock CLIP weights (`openai/clip-vit-base-patch16`); the rest then starts at random.
    """

    config: CATSegConfig
    image_processor_class = CATSegImageProcessor
    processor_class = PartSegmentationProcessor
    config_class = CATSegConfig
    base_model_prefix = "clip"
    classes_interact = True
    scores_none = True
    substring_candidates = True
    exports_batches = False
    _can_record_outputs = {
        "hidden_states": OutputRecorder(CLIPEncoderLayer, num_hidden_layers_key="attending_layers"),
        "attentions": CLIPAttention,
    }
    new_parts = ("backbone.", "aggregator.", "none_embedding")
    # Backbone, aggregator with decoder ("B+D" in OV-PARTS, table 5), and CLIP's vision tower.
    trainable_groups = {"B": ("backbone.",), "D": ("aggregator.",), "C": ("clip.vision_model.",)}
    stock_weights = "openai/clip-vit-base-patch16"
    trainable_with_few, trainable_with_many = "B+D", "B+C+D"

    def __init__(self, config: CATSegConfig):
        super().__init__(config)
        _check_grids(config)
        self.clip = CLIPModel(config)
        self.backbone = PartResNet(config.backbone_config)
        self.aggregator = Aggregator(config)
        self.none_embedding = nn.Parameter(torch.empty(1, config.projection_dim))
        self._make_class_features(config.num_templates, config.projection_dim)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_like_torch(module)
        if isinstance(module, CATSegForPartSegmentation):
            init.normal_(module.none_embedding, std=self.config.text_config.hidden_size**-0.5)

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: CATSegConfig, settings: Mapping[str, Any]
    ) -> PartSegmentationProcessor:
        """See `PartSegmentationModel.default_processor`."""
        options = {"templates": IMAGENET_TEMPLATES, "possessive": True, "scores": "probabilities", **settings}
        size = {"height": config.image_size, "width": config.image_size}
        if config.guidance_size != config.image_size:
            size_of_backbone = {"height": config.guidance_size, "width": config.guidance_size}
            options["images"] = {"backbone_size": size_of_backbone, **options.get("images", {})}
        images = {"image_mean": config.image_mean, "image_std": config.image_std, **options.pop("images", {})}
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
        return PartSegmentationProcessor(CATSegImageProcessor(size, **images), tokenizer, **options)

    def set_trainable(self, name: str) -> None:
        """See `PartSegmentationModel.set_trainable`."""
        super().set_trainable(name)
        attention = self.clip.vision_model.encoder.layers[-1].self_attn
        for unused in (attention.q_proj, attention.k_proj):  # dense features only need its values
            unused.requires_grad_(False)

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`: (classes, templates, projection dim), each of unit length."""
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        half = self.config.text_precision == "float16"
        features = text_features(self.clip, input_ids.flatten(0, 1), mask, half)
        return F.normalize(features, dim=-1).unflatten(0, input_ids.shape[:2])

    @torch.enable_grad()
    def text_encoder_is_trainable(self, processor: Any, class_names: Sequence[str]) -> bool:
        """See `PartSegmentationModel.text_encoder_is_trainable`; one of the many prompts of a class shows it."""
        tokens = processor(classes=class_names[:1]).to(self.device)
        return self.encode_classes(**{name: rows[:, :1] for name, rows in tokens.items()}).requires_grad

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        pixel_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        include_none: bool = True,
        backbone_pixel_values: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; logits have a quarter of the size that the ResNet sees, for windows that
        of the canvas.

        Args:
            pixel_values: (batch, 3, side, side), normalised for CLIP; or (batch, windows + 1, 3, side, side), the
                overlapping windows of each image and then the whole, for sliding-window inference.
            class_features: (classes, templates, projection dim).
            pixel_mask: (batch, side, side) float, how much of each pixel that the ResNet sees is image and not padding;
                None for all.
            backbone_pixel_values: The same images or windows at the size for the ResNet, also normalised for CLIP; None
                where it sees `pixel_values`, see `CATSegConfig.backbone_image_size`.
        """
        check_keywords(kwargs)
        class_features = self.resolve_class_features(class_features, input_ids, attention_mask)
        self._check_classes(class_features)
        self._check_images(pixel_values, backbone_pixel_values)
        if backbone_pixel_values is None:
            backbone_pixel_values = pixel_values
        none = F.normalize(self.none_embedding, dim=-1)[:, None].expand(-1, class_features.shape[1], -1)
        rows = torch.cat([class_features, none.to(class_features)])
        decoded = selected_rows(class_mask, pixel_values.shape[0], class_features.shape[0], rows.shape[0])
        decoded[:, -1] = include_none

        if pixel_values.dim() == 5:
            scores = self._score_windows(pixel_values, backbone_pixel_values, rows, decoded)
        else:
            scores = self._score(pixel_values, self._for_backbone(backbone_pixel_values, pixel_mask), rows, decoded)
        logits, none_logits = scores[:, :-1], scores[:, -1:]
        loss = None
        if labels is not None:
            full = F.interpolate(scores.clamp(min=-1e4), size=labels.shape[-2:], mode="bilinear", align_corners=False)
            loss = part_segmentation_loss(
                full[:, :-1], full[:, -1:], labels, self.config.segmentation_loss, self.config.none_weight
            )
        none_logits = none_logits if include_none else None
        return PartSegmentationOutput(loss, logits, none_logits, self.unless_stored(class_features))

    def _check_classes(self, class_features: torch.Tensor) -> None:
        templates = self.config.num_templates
        if class_features.dim() != 3 or class_features.shape[1] != templates:
            raise ConfigurationError(
                f"class_features has shape {list(class_features.shape)}; this model takes (classes, {templates}, "
                f"{self.config.projection_dim}), one row for each of its {templates} templates."
            )

    def _check_images(self, pixel_values: torch.Tensor, backbone_pixel_values: torch.Tensor | None) -> None:
        side, backbone_side = self.config.image_size, self.config.guidance_size
        if pixel_values.shape[-2:] != (side, side):
            raise ConfigurationError(
                f"pixel_values has shape {list(pixel_values.shape)}; this model takes images of {side} x {side}. "
                "Prepare them with its processor."
            )
        if backbone_pixel_values is None and side != backbone_side:
            raise ConfigurationError(
                f"backbone_pixel_values is missing: CLIP sees images of {side} x {side}, the ResNet of "
                f"{backbone_side} x {backbone_side}. Prepare both with the model's processor (backbone_size)."
            )
        expected = (*pixel_values.shape[:-2], backbone_side, backbone_side)
        if backbone_pixel_values is not None and backbone_pixel_values.shape != expected:
            raise ConfigurationError(
                f"backbone_pixel_values has shape {list(backbone_pixel_values.shape)}; beside pixel_values of shape "
                f"{list(pixel_values.shape)} this model takes {list(expected)}. Prepare them with its processor."
            )

    def _score(
        self, pixel_values: torch.Tensor, backbone_images: torch.Tensor, rows: torch.Tensor, decoded: torch.Tensor
    ) -> torch.Tensor:
        """Images for CLIP and for the ResNet, and the rows to decode for each -> (batch, rows, side / 4, side / 4)."""
        image_features = self._encode_images(pixel_values)
        stages = self.backbone(backbone_images).feature_maps
        scores = [
            self._score_image(features, [stage[number : number + 1] for stage in stages], rows, of_image)
            for number, (features, of_image) in enumerate(zip(image_features, decoded))
        ]
        return torch.stack(scores)

    def _score_image(
        self, features: torch.Tensor, stages: Sequence[torch.Tensor], rows: torch.Tensor, decoded: torch.Tensor
    ) -> torch.Tensor:
        if torch.compiler.is_compiling():  # no shape may depend on the values of a mask: every class is decoded
            return self.aggregator(features, rows, stages).masked_fill(
                ~decoded.to(rows.device)[:, None, None], -math.inf
            )
        if decoded.all():
            return self.aggregator(features, rows, stages)
        ids = decoded.nonzero()[:, 0].to(rows.device, non_blocking=True)
        scores = self.aggregator(features, rows, stages, ids)
        return scores.new_full((len(rows), *scores.shape[1:]), -math.inf).index_copy(0, ids, scores)

    def _score_windows(
        self, pixel_values: torch.Tensor, backbone_pixel_values: torch.Tensor, rows: torch.Tensor, decoded: torch.Tensor
    ) -> torch.Tensor:
        """(batch, windows + 1, 3, side, side) twice -> (batch, rows, canvas, canvas)."""
        scores = []
        for windows, backbone_windows, of_image in zip(pixel_values, backbone_pixel_values, decoded):
            of_windows = of_image.expand(len(windows), -1)
            logits = self._score(windows, self._for_backbone(backbone_windows, None), rows, of_windows)
            scores.append(merge_windows(logits, self.config.guidance_size))
        return torch.stack(scores)

    def _encode_images(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, 3, side, side) -> (batch, projection dim, grid, grid)."""
        tokens = dense_features(self.clip, pixel_values)[:, 1:]
        return tokens.transpose(1, 2).unflatten(2, (self.config.grid_size, self.config.grid_size))

    def _for_backbone(self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None) -> torch.Tensor:
        """The same image with the normalisation of the ResNet; padding is its mean colour in either."""
        config = self.config
        values = (config.image_mean, config.image_std, config.backbone_image_mean, config.backbone_image_std)
        mean, std, new_mean, new_std = (pixel_values.new_tensor(value).view(-1, 1, 1) for value in values)
        image = 1 if pixel_mask is None else pixel_mask[:, None].to(pixel_values)
        return (pixel_values * std + (mean - new_mean) * image) / new_std


def _check_grids(config: CATSegConfig) -> None:
    expected = config.grid_size * config.backbone_stride
    if config.guidance_size != expected:
        raise ConfigurationError(
            f"CLIP has {config.grid_size} patches along a side of {config.image_size} pixels; the ResNet, which sees "
            f"{config.guidance_size} pixels, needs {expected} for as many. Set image_size and backbone_image_size so "
            "that they agree."
        )
