"""MaskFormer (Cheng et al., NeurIPS 2021) for parts: OV-PARTS' fully supervised model with a closed vocabulary.

Each query proposes one mask and one distribution over classes; a pixel's score of a class is the sum over queries of
the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn
from transformers.models.maskformer.modeling_maskformer import MaskformerMLPPredictionHead
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from ...errors import ConfigurationError
from ..arguments import check_keywords
from ..modeling_utils import PartSegmentationModel, PartSegmentationOutput
from ..processing import ClosedVocabularyProcessor
from ..resnet import load_backbone
from .configuration_maskformer import MaskFormerPartConfig
from .image_processing_maskformer import BENCHMARK_SIZE, MaskClassificationImageProcessor
from .losses import mask_classification_loss, masks_from_labels
from .modules import (
    RECORDED,
    PixelFeatures,
    PixelLevelModule,
    Proposals,
    QueryDecoder,
    check_request,
    class_probabilities,
    init_mask_classification_layer,
    mask_probabilities,
    pad_to_multiple,
    sum_of_queries,
)


class MaskFormerForPartSegmentation(PartSegmentationModel):
    """MaskFormer with a ResNet whose batch norm is frozen, whatever is trained.

    `hidden_states` (without the first, which are zero) and `attentions` are those of the queries in the decoder.
    """

    config: MaskFormerPartConfig
    image_processor_class = MaskClassificationImageProcessor
    processor_class = ClosedVocabularyProcessor
    config_class = MaskFormerPartConfig
    trainable_groups = {"all": ("",)}
    stock_weights = "microsoft/resnet-50"
    exports_any_size = True
    _supports_sdpa = True
    _can_record_outputs = RECORDED

    def __init__(self, config: MaskFormerPartConfig):
        super().__init__(config)
        self.pixel_level_module = PixelLevelModule(config)
        self.query_decoder = QueryDecoder(config, self.pixel_level_module.backbone.channels[-1])
        self.class_head = nn.Linear(config.hidden_size, config.num_labels + 1)
        self.mask_head = MaskformerMLPPredictionHead(config.hidden_size, config.hidden_size, config.mask_feature_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_mask_classification_layer(module)

    @classmethod
    def from_base_model(cls, name_or_path: str | None, config: MaskFormerPartConfig) -> Self:
        """See `PartSegmentationModel.from_base_model`; the pretrained model is a ResNet."""
        with torch.device("meta"):
            cls(config)  # which refuses sizes that do not fit into memory
        model = cls(config)
        if name_or_path is not None:
            load_backbone(model, name_or_path)
        return model

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: MaskFormerPartConfig, settings: Mapping[str, Any]
    ) -> ClosedVocabularyProcessor:
        """See `PartSegmentationModel.default_processor`."""
        options = dict(settings)
        images = {"size": BENCHMARK_SIZE, **options.pop("images", {})}
        return ClosedVocabularyProcessor(MaskClassificationImageProcessor(**images), **options)

    @property
    def vocabulary(self) -> list[str]:
        """See `PartSegmentationModel.vocabulary`."""
        return [self.config.id2label[number] for number in range(self.config.num_labels)]

    def encode_vocabulary(
        self, processor: ClosedVocabularyProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`; the names of a closed vocabulary are looked up."""
        return {"class_features": self.find_classes(class_names)}

    def find_classes(self, names: Sequence[str]) -> torch.Tensor:
        """(classes,) int64 indices of class names, to be passed to `forward` as `class_features`."""
        known = self.config.label2id
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigurationError(
                f"This model has a closed vocabulary of {len(known)} classes, without {unknown[:5]}. Ask for some of "
                f"its own ({list(known)[:3]}, ...), or train a model with others."
            )
        return torch.tensor([known[name] for name in names], device=self.device)

    @capture_outputs
    def propose(
        self, features: PixelFeatures, all_layers: bool = True, **kwargs: Unpack[TransformersKwargs]
    ) -> Proposals:
        """Lets the queries propose masks and classes, after each layer of their decoder or only after the last."""
        states = self.query_decoder(features.deepest)[0 if all_layers else -1 :]
        masks = torch.einsum("lbqc,bchw->lbqhw", self.mask_head(states), features.mask_features)
        return Proposals(self.class_head(states), masks)

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        include_none: bool = False,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; images are extended by zeros to a multiple of 32, and "none" has no
        score.

        Args:
            class_features: (classes,) int64 from `find_classes`, the classes to be scored; None for all in their order.
            labels: Positions among the classes to be scored; other values are unlabelled. `class_mask` does not matter.

        Returns:
            `logits` at the size of `pixel_values`: sums of probabilities, not below zero. With `labels`, the loss; in
                training mode then nothing else.
        """
        check_keywords(kwargs)
        num_classes = self.config.num_labels if class_features is None else class_features.shape[0]
        check_request(pixel_values.shape[0], num_classes, class_mask, labels, include_none)
        size = pixel_values.shape[-2:]
        padded = pad_to_multiple(pixel_values)
        features = self.pixel_level_module(padded)
        proposals = self.propose(features, all_layers=labels is not None, return_dict=True, **kwargs)
        states = {"hidden_states": proposals.hidden_states, "attentions": proposals.attentions}
        loss = None
        if labels is not None:
            masks, ids = masks_from_labels(labels, size, num_classes, self.config.mask_loss_stride)
            if class_features is not None:
                ids = [class_features[each] for each in ids]
            layers = proposals.class_logits, proposals.mask_logits
            loss = sum(mask_classification_loss(*layers, (masks, ids), self.config, self.training).values())
            if self.training:
                return PartSegmentationOutput(loss=loss, **states)
        masks = mask_probabilities(proposals.mask_logits[-1], padded.shape[-2:], size)
        scores = class_probabilities(proposals.class_logits[-1])
        logits = sum_of_queries(scores if class_features is None else scores[..., class_features], masks)
        if class_mask is not None:
            logits = logits.masked_fill(~class_mask.to(logits.device)[:, :, None, None], -math.inf)
        return PartSegmentationOutput(loss=loss, logits=logits, **states)
