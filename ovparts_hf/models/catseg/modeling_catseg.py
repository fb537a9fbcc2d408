"""CAT-Seg (Cho et al., CVPR 2024) as OV-PARTS (NeurIPS 2023, section 4.2) fine-tunes it for parts.

CLIP says how much each place of an image is like each class name; an aggregator, guided by a ResNet, turns this
correlation volume into a map for each class. For parts, one more row, "none", competes for unlabelled pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPModel
from transformers import initialization as init
from transformers.models.clip.modeling_clip import CLIPPreTrainedModel

from ...errors import ConfigurationError
from ..clip import dense_features, text_features
from ..fine_tuning import init_like_torch, set_trainable_parameters
from ..losses import part_segmentation_loss
from ..outputs import PartSegmentationOutput
from ..own_vocabulary import OwnVocabulary
from ..resnet import PartResNet
from .aggregator import Aggregator
from .configuration_catseg import CATSegConfig
from .sliding_window import merge_windows

TRAINABLE_GROUPS = {"B": "backbone.", "D": "aggregator.", "C": "clip.vision_model."}
"""What can be fine-tuned: backbone, aggregator with decoder ("B+D" in OV-PARTS, table 5), and CLIP's vision tower."""


class CATSegForPartSegmentation(OwnVocabulary, CLIPPreTrainedModel):
    """CAT-Seg with a "none" row, for open-vocabulary part segmentation.

    Classes influence each other: the scores of a class depend on the whole vocabulary that it is given with. So all
    classes take part in the aggregation; `class_mask` only chooses those that are decoded. Most layers take the classes
    in groups that fit the memory (`aggregator.NUMBERS_AT_ONCE`); the volume of all classes and the attention across
    them are held at once, about 2 MB for each class at full size.

    Also loads stock CLIP weights (`openai/clip-vit-base-patch16`); the rest then starts at random.
    """

    config: CATSegConfig
    config_class = CATSegConfig
    base_model_prefix = "clip"
    main_input_name = "pixel_values"
    classes_interact = True
    requires_object_masks = False
    scores_none = True
    """Whether `forward` can score "none"."""
    substring_candidates = True
    """The original lets an object answer every class whose name contains the object's name (docs/differences.md)."""

    def __init__(self, config: CATSegConfig):
        super().__init__(config)
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

    def set_trainable(self, name: str) -> None:
        """Chooses what an optimiser may change.

        Args:
            name: "none", or groups of `TRAINABLE_GROUPS` joined by "+": the benchmark's is "B+D".

        Raises:
            ConfigurationError: A group is unknown.
        """
        set_trainable_parameters(self, name, TRAINABLE_GROUPS)
        attention = self.clip.vision_model.encoder.layers[-1].self_attn
        for unused in (attention.q_proj, attention.k_proj):  # dense features only need its values
            unused.requires_grad_(False)

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Encodes class names; do it once per vocabulary and pass the result to every forward call.

        Args:
            input_ids: (classes, templates, length) int64, from `PartSegmentationProcessor(classes=...)`.
            attention_mask: (classes, templates, length) int64, or None.

        Returns:
            (classes, templates, projection dim), each of unit length.
        """
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        half = self.config.text_precision == "float16"
        features = text_features(self.clip, input_ids.flatten(0, 1), mask, half)
        return F.normalize(features, dim=-1).unflatten(0, input_ids.shape[:2])

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
    ) -> PartSegmentationOutput:
        """Scores every class at every pixel.

        Args:
            pixel_values: (batch, 3, side, side), normalised for CLIP; or (batch, windows + 1, 3, side, side), the
                overlapping windows of each image and then the whole, for sliding-window inference.
            class_features: (classes, templates, projection dim) from `encode_classes`.
            input_ids: (classes, templates, length) int64, to be encoded here (with gradient). Without either, the
                model's own vocabulary is scored.
            attention_mask: (classes, templates, length) int64, or None.
            class_mask: (batch, classes) bool; classes that are False for an image are not decoded and score -inf.
            pixel_mask: (batch, side, side) float, how much of each pixel is image and not padding; None for all.
            labels: (batch, height, width) class ids, of any size; other values mean "none".
            include_none: Whether to score "none" too. Training needs it.

        Returns:
            Logits at the resolution of the first ResNet stage, a quarter of `pixel_values`; for windows at that of the
            canvas.

        Raises:
            ConfigurationError: Words are missing, or images or words have another shape than the model takes.
        """
        class_features = self.find_words(class_features, input_ids, attention_mask)
        self._check(pixel_values, class_features)
        none = F.normalize(self.none_embedding, dim=-1)[:, None].expand(-1, class_features.shape[1], -1)
        rows = torch.cat([class_features, none.to(class_features)])
        asked = rows.new_ones(len(pixel_values), len(rows), dtype=torch.bool)
        asked[:, -1] = include_none
        if class_mask is not None:
            asked[:, :-1] = class_mask

        if pixel_values.dim() == 5:
            scores = self._score_windows(pixel_values, rows, asked)
        else:
            scores = self._score(pixel_values, pixel_mask, rows, asked)
        logits, none_logits = scores.split([len(class_features), 1], dim=1)
        loss = None
        if labels is not None:
            full = F.interpolate(scores.clamp(min=-1e4), size=labels.shape[-2:], mode="bilinear", align_corners=False)
            loss = part_segmentation_loss(
                full[:, :-1], full[:, -1:], labels, self.config.segmentation_loss, self.config.none_weight
            )
        none_logits = none_logits if include_none else None
        return PartSegmentationOutput(loss, logits, none_logits, self.unless_own(class_features))

    def _check(self, pixel_values: torch.Tensor, class_features: torch.Tensor) -> None:
        side, templates = self.config.image_size, self.config.num_templates
        if pixel_values.shape[-2:] != (side, side):
            raise ConfigurationError(
                f"pixel_values has shape {list(pixel_values.shape)}; this model takes images of {side} x {side}. "
                "Prepare them with its processor."
            )
        if class_features.dim() != 3 or class_features.shape[1] != templates:
            raise ConfigurationError(
                f"class_features has shape {list(class_features.shape)}; this model takes (classes, {templates}, "
                f"{self.config.projection_dim}), one row for each of its {templates} templates."
            )

    def _score(
        self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None, rows: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """(batch, 3, side, side) and the rows asked for in each image -> (batch, rows, side / 4, side / 4)."""
        image_features = self._encode_images(pixel_values)
        stages = self.backbone(self._for_backbone(pixel_values, pixel_mask)).feature_maps
        scores = [
            self._score_image(features, [stage[number : number + 1] for stage in stages], rows, wanted)
            for number, (features, wanted) in enumerate(zip(image_features, asked))
        ]
        return torch.stack(scores)

    def _score_image(
        self, features: torch.Tensor, stages: Sequence[torch.Tensor], rows: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        if asked.all():
            return self.aggregator(features, rows, stages)
        wanted = asked.nonzero()[:, 0]
        decoded = self.aggregator(features, rows, stages, wanted)
        return decoded.new_full((len(rows), *decoded.shape[1:]), -math.inf).index_copy(0, wanted, decoded)

    def _score_windows(self, pixel_values: torch.Tensor, rows: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """(batch, windows + 1, 3, side, side) -> (batch, rows, canvas, canvas)."""
        scores = []
        for windows, wanted in zip(pixel_values, asked):
            each = self._score(windows, None, rows, wanted.expand(len(windows), -1))
            scores.append(merge_windows(each, pixel_values.shape[-1]))
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
