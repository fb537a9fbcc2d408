"""PartCATSeg (Choi et al., CVPR 2025): cost aggregation for parts that are put together from names.

CLIP says how much each place of an image is like each part's and each object's name; an aggregator, guided by DINOv2,
turns this into features for each name. Those of a class's two names are compared with its own text, and aggregated
again into a map for each class. "none" competes for unlabelled pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import CLIPModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.output_capturing import capture_outputs

from ...errors import ConfigurationError
from ..arguments import check_keywords, check_not_empty, selected_rows
from ..catseg.modeling_catseg import CATSegForPartSegmentation
from ..modeling_utils import PROMPTS_AT_ONCE, PartSegmentationOutput
from .aggregator import LevelScores, PartAggregator, leave_out_others
from .configuration_partcatseg import PartCATSegConfig
from .facts import DINOV2
from .guidance import GuidanceDinov2
from .losses import part_catseg_losses
from .named_weights import load_named_weights
from .processing_partcatseg import PartCATSegProcessor
from .vocabulary import LEVELS, Vocabulary, level_names


class PartCATSegForPartSegmentation(CATSegForPartSegmentation):
    """PartCATSeg with a "none" row, for open-vocabulary part segmentation.

    Classes influence each other, as in CATSeg: all take part in the aggregation, `class_mask` only chooses those that
    are decoded. Classes with the same part or object share what is computed for its name; they are recognised by their
    features, for which `encode_vocabulary` encodes each name once.

    `hidden_states` and `attentions` are those of CLIP's image encoder but for its last layer, as in CATSeg.

    Also loads stock CLIP weights (`openai/clip-vit-base-patch16`); the rest then starts at random, but for DINOv2 if
    the configuration names its weights (`backbone_weights`).
    """

    config: PartCATSegConfig
    processor_class = PartCATSegProcessor
    config_class = PartCATSegConfig
    trains_on_objects = True
    stock_fields = {"backbone_weights": DINOV2}
    stock_lr_multipliers = {"backbone.": 0.01}
    trainable_with_many = "B+D"  # the paper trains no part of CLIP

    def __init__(self, config: PartCATSegConfig):
        super(CATSegForPartSegmentation, self).__init__(config)
        self.clip = CLIPModel(config)
        self.backbone = GuidanceDinov2(config.backbone_config, config.grid_size)
        self.aggregator = PartAggregator(config)
        self.none_embedding = nn.Parameter(torch.empty(1, config.projection_dim))
        self._make_class_features(LEVELS * config.num_templates, config.projection_dim)
        self.post_init()

    @classmethod
    def from_base_model(cls, name_or_path: str | None, config: PartCATSegConfig) -> Self:
        """See `PartSegmentationModel.from_base_model`; `config` may name weights of DINOv2 and of CLIP's text."""
        model = super().from_base_model(name_or_path, config)
        load_named_weights(model)
        return model

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: PartCATSegConfig, settings: Mapping[str, Any]
    ) -> PartCATSegProcessor:
        """See `PartSegmentationModel.default_processor`."""
        plain = super().default_processor(name_or_path, config, settings)
        own = {name: getattr(plain, name) for name in ("templates", "possessive", "scores")}
        return PartCATSegProcessor(plain.image_processor, plain.tokenizer, **own)

    @property
    def stored_class_features(self) -> dict[str, torch.Tensor]:
        """The features (templates, projection dim) that are saved with the model, by the name of a class, of a part or
        of an object.
        """
        return {
            name: features
            for class_name, levels in super().stored_class_features.items()
            for name, features in zip(level_names(class_name), levels.unflatten(0, (LEVELS, -1)))
        }

    @torch.no_grad()
    def encode_class_names(
        self, processor: PartCATSegProcessor, class_names: Sequence[str], progress: bool = False
    ) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_class_names`: (classes, 3 * templates, projection dim).

        Each name is encoded once, so that classes with the same part or object have exactly the same features for it.
        """
        check_not_empty(class_names)
        levels = [level_names(name) for name in class_names]
        known = self.stored_class_features
        missing = [name for name in dict.fromkeys(chain(*levels)) if name not in known]
        count = LEVELS * max(1, PROMPTS_AT_ONCE // (LEVELS * self.config.num_templates))
        groups = [missing[start : start + count] for start in range(0, len(missing), count)]
        for names in tqdm(groups, desc="Encoding class names", disable=not progress or not missing):
            tokens = processor.pack_names(names).to(self.device)
            self._check_tokens(tokens["input_ids"])
            known.update(zip(names, self.encode_classes(**tokens).unflatten(1, (LEVELS, -1)).flatten(0, 1)))
        return torch.stack([torch.cat([known[name] for name in each]) for each in levels])

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`: (classes, 3 * templates, projection dim), each of unit length.

        Prompts that occur several times are encoded once.
        """
        if torch.compiler.is_compiling() or input_ids.is_meta:
            return super().encode_classes(input_ids, attention_mask)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        prompts = torch.stack([input_ids.flatten(0, 1), mask.flatten(0, 1)], dim=1)
        different, positions = torch.unique(prompts, dim=0, return_inverse=True)
        features = super().encode_classes(different[:, None, 0], different[:, None, 1])[:, 0]
        return features.index_select(0, positions).unflatten(0, input_ids.shape[:2])

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
        object_labels: torch.Tensor | None = None,
        include_none: bool = True,
        backbone_pixel_values: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward` and `CATSegForPartSegmentation.forward`; logits have four times the side
        of CLIP's grid of patches, for windows that of the canvas.

        Args:
            class_features: (classes, 3 * templates, projection dim): of the class, of its part's name and of its
                object's; from `encode_vocabulary`.
            pixel_mask: (batch, side, side) float, how much of each pixel that DINOv2 sees is image and not padding;
                None for all.
            object_labels: Of the shape of `labels`, where whole objects are: at each pixel any class of the object
                that is there, another value where there is none. None: objects are where their labelled parts are.
            backbone_pixel_values: The same images or windows at the size for DINOv2, also normalised for CLIP; None
                where it sees `pixel_values`.
        """
        check_keywords(kwargs)
        class_features = self.resolve_class_features(class_features, input_ids, attention_mask)
        self._check_classes(class_features)
        self._check_images(pixel_values, backbone_pixel_values)
        backbone_pixel_values = pixel_values if backbone_pixel_values is None else backbone_pixel_values
        static = torch.compiler.is_compiling() or class_features.is_meta
        none = F.normalize(self.none_embedding, dim=-1)[:, None].expand(-1, self.config.num_templates, -1)
        vocabulary = Vocabulary.of(class_features, none.to(class_features), static and labels is None)
        count = class_features.shape[0]
        decoded = selected_rows(class_mask, pixel_values.shape[0], count, count + 1)
        decoded[:, -1] = include_none

        loss = None
        if labels is not None:
            images = self._for_backbone(backbone_pixel_values, pixel_mask)
            levels = self._score_levels(pixel_values, images, vocabulary, decoded)
            loss = part_catseg_losses(levels, vocabulary, labels, object_labels, self.config).total(self.config)
            scores = levels.classes
        elif pixel_values.dim() == 5:
            scores = self._score_windows(pixel_values, backbone_pixel_values, vocabulary, decoded)
        else:
            images = self._for_backbone(backbone_pixel_values, pixel_mask)
            scores = self._score(pixel_values, images, vocabulary, decoded)
        logits, none_logits = scores[:, :-1], scores[:, -1:] if include_none else None
        return PartSegmentationOutput(loss, logits, none_logits, self.unless_stored(class_features))

    def _score_levels(
        self, pixel_values: torch.Tensor, backbone_images: torch.Tensor, vocabulary: Vocabulary, decoded: torch.Tensor
    ) -> LevelScores:
        """As `_score`, for training, with a batch dimension."""
        if pixel_values.dim() == 5:
            raise ConfigurationError("labels were given with sliding windows; train on whole images.")
        image_features = self._encode_images(pixel_values)
        stages = self.backbone(backbone_images).feature_maps
        found = []
        for number, (features, of_image) in enumerate(zip(image_features, decoded)):
            ids = of_image.nonzero()[:, 0].to(vocabulary.device, non_blocking=True)
            of_stages = [stage[number : number + 1] for stage in stages]
            levels = self.aggregator.score_levels(features, vocabulary, of_stages, ids)
            found.append(leave_out_others(levels, vocabulary, ids))
        return LevelScores(*(torch.stack(each) for each in zip(*found)))

    def _check_classes(self, class_features: torch.Tensor) -> None:
        rows = LEVELS * self.config.num_templates
        if class_features.dim() != 3 or class_features.shape[1] != rows:
            raise ConfigurationError(
                f"class_features has shape {list(class_features.shape)}; this model takes (classes, {rows}, "
                f"{self.config.projection_dim}): one row for each of its {self.config.num_templates} templates, of the "
                "class, of its part and of its object. Make them with encode_vocabulary and the model's processor."
            )
