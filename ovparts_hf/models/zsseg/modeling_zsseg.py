"""ZSseg (Xu et al., ECCV 2022) and OV-PARTS' ZSseg+ (NeurIPS 2023, section 4.1).

MaskFormer proposes masks whose classes are vectors in CLIP's text space; then CLIP looks at the regions, too. In ZSseg+
the mask of an object prompts the queries and CLIP's crop, and prompts of object and part are learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, CLIPModel
from transformers import initialization as init
from transformers.models.maskformer.modeling_maskformer import MaskformerMLPPredictionHead
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from ...errors import ConfigurationError
from ..arguments import check_keywords
from ..clip import text_features
from ..clip_regions import clip_normalized, patch_features
from ..maskformer.image_processing_maskformer import BENCHMARK_SIZE, MaskClassificationImageProcessor
from ..maskformer.losses import mask_classification_loss, masks_from_labels
from ..maskformer.modules import (
    RECORDED,
    SIZE_DIVISOR,
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
from ..modeling_utils import OpenVocabularyModel, PartSegmentationOutput
from ..post_processing import best_position
from ..processing import PartSegmentationProcessor
from ..prompts import LearnedPrompts, prompt_features
from . import stages
from .configuration_zsseg import ZSSegConfig

TEMPLATES = ("a sculpture of a {}.",)
"""For hand-written prompts, as ZSseg's configurations have it. What OV-PARTS used for its ZSseg row is not public."""

_SEGMENTER = ("pixel_level_module.", "query_decoder.", "class_head.", "mask_head.", "no_object_embedding")


class ClassInputs(NamedTuple):
    """A vocabulary as the second stage needs it: unit features (classes, projection dim), the queries' share (classes,)
    and, for prompts that depend on the image, their tokens.
    """

    class_features: torch.Tensor
    exponents: torch.Tensor
    input_ids: torch.Tensor | None
    attention_mask: torch.Tensor | None


class ZSSegForPartSegmentation(OpenVocabularyModel):
    """ZSseg+, or by its configuration plain ZSseg. Prompts are tuned beforehand, without the segmenter.

    Classes influence each other: the queries choose among the whole vocabulary. `class_mask` only says which of them
    may be answered.

    `torch.compile` makes one graph of the first stage, whatever the classes; the second, in which CLIP looks at the box
    of each object or proposal, runs as it is.

    `hidden_states` (without the first, which are zero) and `attentions` are those of the queries in the decoder.

    Also loads stock CLIP weights (`openai/clip-vit-base-patch16`); the rest then starts at random.
    """

    config: ZSSegConfig
    image_processor_class = MaskClassificationImageProcessor
    processor_class = PartSegmentationProcessor
    config_class = ZSSegConfig
    base_model_prefix = "clip"
    classes_interact = True
    substring_candidates = True
    trainable_groups = {"segmenter": _SEGMENTER}
    stock_weights = "openai/clip-vit-base-patch16"
    exports_any_size = True
    export_runner = ("zsseg.two_stages", "TwoStages")
    new_parts = (*_SEGMENTER, "prompts.")
    _supports_sdpa = True
    _can_record_outputs = RECORDED

    def __init__(self, config: ZSSegConfig):
        super().__init__(config)
        self.pixel_level_module = PixelLevelModule(config)
        self.query_decoder = QueryDecoder(config, self.pixel_level_module.backbone.channels[-1])
        width = config.hidden_size
        self.class_head = MaskformerMLPPredictionHead(width, config.class_hidden_size, config.projection_dim, 2)
        self.mask_head = MaskformerMLPPredictionHead(width, width, config.mask_feature_size)
        self.clip = CLIPModel(config)
        self.no_object_embedding = nn.Parameter(torch.empty(1, config.projection_dim))
        self.prompts = None
        if config.prompt_lengths is not None:
            feature_dim = config.projection_dim if config.image_conditioned_prompts else None
            self.prompts = LearnedPrompts(config.text_config.hidden_size, *config.prompt_lengths, feature_dim)
        self._make_class_features(config.projection_dim)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_mask_classification_layer(module)
        if isinstance(module, LearnedPrompts):
            module.reset_parameters()
        elif isinstance(module, ZSSegForPartSegmentation):
            init.normal_(module.no_object_embedding, std=self.config.text_config.hidden_size**-0.5)

    @property
    def requires_object_masks(self) -> bool:
        """Whether `forward` wants the mask of each object."""
        return self.config.object_mask_prompt

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: ZSSegConfig, settings: Mapping[str, Any]
    ) -> PartSegmentationProcessor:
        """See `PartSegmentationModel.default_processor`."""
        options = {"scores": "plain", **settings}
        size = {} if config.object_mask_prompt else {"size": BENCHMARK_SIZE}
        images = {"image_mean": list(config.image_mean), "image_std": list(config.image_std), **size}
        images |= options.pop("images", {})
        prompts = {"prompt_lengths": config.prompt_lengths} if config.prompt_lengths else {"templates": TEMPLATES}
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
        return PartSegmentationProcessor(
            MaskClassificationImageProcessor(**images), tokenizer, **{**prompts, **options}
        )

    def encode_vocabulary(
        self, processor: PartSegmentationProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`; with what the second stage needs to know."""
        encoded = super().encode_vocabulary(processor, class_names, progress)
        if self.config.image_conditioned_prompts:
            encoded.update(processor(classes=class_names).to(self.device))
        if self.config.seen_class_names is not None:
            seen = set(self.config.seen_class_names)
            encoded["seen_classes"] = torch.tensor([name in seen for name in class_names], device=self.device)
        return encoded

    def encode_classes(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        object_feature: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`: one unit vector (projection dim) per class, averaged over
        templates.

        Ids are negative where `prompts.tokenize_prompts` put learned vectors. If these depend on the image,
        `object_feature` (1, projection dim), what CLIP sees of an object, moves them.

        Raises:
            ConfigurationError: There are learned vectors in the prompts and none in the model.
        """
        if self.prompts is None and not torch.compiler.is_compiling() and (input_ids < 0).any():
            raise ConfigurationError(
                "The prompts ask for learned vectors (negative ids), but prompt_lengths of the model is None. Use "
                "hand-written prompts, or a model with learned ones."
            )
        rows = input_ids.flatten(0, -2)
        mask = torch.ones_like(rows) if attention_mask is None else attention_mask.flatten(0, -2)
        if self.prompts is None:
            features = text_features(self.clip, rows, mask)
        else:
            object_features = None if object_feature is None else object_feature.expand(rows.shape[0], -1)
            features = prompt_features(self.clip, self.prompts, rows, mask, object_features)
        features = F.normalize(features, dim=-1).reshape(input_ids.shape[0], -1, self.config.projection_dim)
        return F.normalize(features.mean(1), dim=-1)

    @capture_outputs
    def propose(
        self,
        features: PixelFeatures,
        class_features: torch.Tensor,
        object_masks: torch.Tensor | None = None,
        all_layers: bool = True,
        **kwargs: Unpack[TransformersKwargs],
    ) -> Proposals:
        """Lets the queries propose masks and classes, on objects (objects, height, width) bool if given, after each
        layer of their decoder or only after the last.
        """
        if object_masks is None:
            states = described = self.query_decoder(features.deepest)
        else:
            prompt = pad_to_multiple(object_masks.to(features.deepest))
            states = self.query_decoder(features.deepest, stages.attention_bias(prompt, features.deepest.shape[-2:]))
            described = states + stages.object_mask_features(features.mask_features, prompt)[:, None]
        if not all_layers:
            states, described = states[-1:], described[-1:]
        no_object = F.normalize(self.no_object_embedding, dim=-1)
        text = torch.cat([class_features, no_object])
        class_logits = self.config.temperature * F.normalize(self.class_head(described), dim=-1) @ text.T
        masks = torch.einsum("lbqc,bchw->lbqhw", self.mask_head(states), features.mask_features)
        return Proposals(class_logits, masks)

    def propose_in(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor,
        object_masks: torch.Tensor | None = None,
        all_layers: bool = True,
        **kwargs: Unpack[TransformersKwargs],
    ) -> Proposals:
        """The first stage: encodes images, a single one for all objects on it, and lets the queries propose."""
        features = self.pixel_level_module(pad_to_multiple(pixel_values))
        if object_masks is not None:
            features = features.expand(object_masks.shape[0])
        return self.propose(features, class_features, object_masks, all_layers, return_dict=True, **kwargs)

    def encode_regions(self, regions: torch.Tensor) -> torch.Tensor:
        """What CLIP sees in regions (regions, 3, side, side): unit features (regions, projection dim), and for ZSseg+
        those of patches (regions, patches, projection dim).
        """
        if self.config.object_mask_prompt:
            return patch_features(self.clip, regions)
        resized = self.config.region_size != self.config.vision_config.image_size
        return F.normalize(
            self.clip.get_image_features(regions, interpolate_pos_encoding=resized).pooler_output, dim=-1
        )

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        object_masks: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        seen_classes: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        include_none: bool = False,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; for each object (ZSseg+) or each image (plain ZSseg), and without
        "none".

        Args:
            pixel_values: Normalised as the configuration says; extended by zeros to a multiple of 32.
            class_features: (classes, projection dim).
            input_ids: With image-conditioned prompts needed to answer in any case.
            object_masks: (objects, height, width), the object to take apart where above 0.5. One for each image, or any
                number for a single image, whose backbone and pixel decoder then run once. ZSseg+ only.
            class_mask: (objects, classes) bool, the classes that an object may have, e.g. its parts by id; the others
                score -inf, and all do for an object without any. Plain ZSseg: (batch, classes). Not used by the loss.
            seen_classes: (classes,) bool, the classes that the queries were trained with; None for none, or for the
                model's own vocabulary those of `config.seen_class_names`.
            labels: (objects, height', width') class ids; other values are unlabelled. Plain ZSseg: (batch, height',
                width').

        Returns:
            `logits` (objects, classes, height, width), products of probabilities and not below zero; 0 where nothing is
                known, as for a part that does not touch the object. With `labels`, the loss; in training mode then
                nothing else.
        """
        check_keywords(kwargs)
        class_features = self.resolve_class_features(class_features, input_ids, attention_mask)
        if self.config.image_conditioned_prompts and input_ids is None and not self.training:
            raise ConfigurationError(
                "The prompts of this model depend on the image: pass input_ids and attention_mask, even if "
                "class_features are given or the model has a vocabulary of its own."
            )
        stages.check_object_masks(object_masks, pixel_values, self.config.object_mask_prompt)
        rows = len(pixel_values if object_masks is None else object_masks)
        check_request(rows, len(class_features), class_mask, labels, include_none)
        object_masks = None if object_masks is None else object_masks > 0.5
        proposals = self.propose_in(pixel_values, class_features, object_masks, labels is not None, **kwargs)
        pixel_values = pixel_values.expand(rows, -1, -1, -1)
        states = {"hidden_states": proposals.hidden_states, "attentions": proposals.attentions}
        own, loss = self.unless_stored(class_features), None
        if labels is not None:
            targets = masks_from_labels(
                labels, pixel_values.shape[-2:], len(class_features), self.config.mask_loss_stride
            )
            layers = proposals.class_logits, proposals.mask_logits
            loss = sum(mask_classification_loss(*layers, targets, self.config, self.training).values())
            if self.training:
                return PartSegmentationOutput(loss=loss, class_features=own, **states)

        class_inputs = ClassInputs(
            class_features, self._exponents(class_features, seen_classes), input_ids, attention_mask
        )
        if class_mask is None:
            class_mask = torch.ones(rows, len(class_features), dtype=torch.bool)
        logits = self._class_maps(pixel_values, object_masks, proposals, class_inputs, class_mask)
        return PartSegmentationOutput(loss=loss, logits=logits, class_features=own, **states)

    @torch.compiler.disable  # it cuts out boxes, whose sizes depend on the masks
    def _class_maps(
        self,
        pixel_values: torch.Tensor,
        object_masks: torch.Tensor | None,
        proposals: Proposals,
        class_inputs: ClassInputs,
        class_mask: torch.Tensor,
    ) -> torch.Tensor:
        """The second stage, row by row; plain ZSseg has both opinions on each query, and then sums over queries."""
        size = pixel_values.shape[-2:]
        padded = tuple(side + -side % SIZE_DIVISOR for side in size)
        config = self.config
        images = clip_normalized(pixel_values, config.image_mean, config.image_std, config.clip_mean, config.clip_std)
        logits = pixel_values.new_full((*class_mask.shape, *size), -math.inf)
        for row, allowed in enumerate(class_mask):
            scores = class_probabilities(proposals.class_logits[-1, row])
            masks = mask_probabilities(proposals.mask_logits[-1, row : row + 1], padded, size)[0]
            candidates = allowed.nonzero()[:, 0].to(logits.device, non_blocking=True)
            if object_masks is None:
                clip_scores = stages.clip_proposal_scores(
                    self.encode_regions, config, images[row], masks, class_inputs.class_features
                )
                scores = stages.ensemble(scores, clip_scores, class_inputs.exponents)[:, candidates]
                maps = sum_of_queries(scores[None], masks[None])[0]
            else:
                query_maps = sum_of_queries(scores[None], masks[None])[0]
                maps = self._name_parts(images[row], object_masks[row], query_maps, class_inputs, candidates)
            logits[row, candidates] = maps.to(logits)  # of another precision under autocast
        return logits

    def _exponents(self, class_features: torch.Tensor, seen_classes: torch.Tensor | None) -> torch.Tensor:
        weight, seen = self.config.ensemble_weight, self.config.seen_class_names
        if seen_classes is None and seen is not None and class_features is self.class_features:
            known = [name in seen for name in self.config.class_names]
            seen_classes = torch.tensor(known, device=class_features.device)
        exponents = class_features.new_full((len(class_features),), 1 - weight)
        return exponents if seen_classes is None else exponents.masked_fill(seen_classes, weight)

    def _name_parts(
        self,
        image: torch.Tensor,
        object_mask: torch.Tensor,
        query_maps: torch.Tensor,
        class_inputs: ClassInputs,
        candidates: torch.Tensor,
    ) -> torch.Tensor:
        """ZSseg+'s class maps (candidates, h, w): both opinions on each pixel.

        The queries choose among all classes. What they take for a part of something else is named by CLIP, too.
        """
        if len(candidates) == 0 or not object_mask.any():
            return torch.zeros_like(query_maps[candidates])
        predicted = best_position(query_maps)
        present, *features = stages.clip_part_features(self.encode_regions, self.config, image, object_mask, predicted)
        table = query_maps.new_zeros(len(query_maps), len(candidates))
        table[present] = self._part_similarity(*features, class_inputs, candidates).softmax(-1).to(table)
        clip_maps = table.T[:, predicted]
        return stages.ensemble(query_maps[candidates], clip_maps, class_inputs.exponents[candidates, None, None])

    def _part_similarity(
        self,
        object_feature: torch.Tensor,
        part_features: torch.Tensor,
        class_inputs: ClassInputs,
        candidates: torch.Tensor,
    ) -> torch.Tensor:
        """CLIP's logits (parts, candidates); without learned prompts there is no weight for the object's feature."""
        text = class_inputs.class_features[candidates]
        if self.config.image_conditioned_prompts:
            mask = None if class_inputs.attention_mask is None else class_inputs.attention_mask[candidates]
            text = self.encode_classes(class_inputs.input_ids[candidates], mask, object_feature)
        fused = part_features if self.prompts is None else self.prompts.fuse(part_features, object_feature)
        return self.config.temperature * fused @ text.T
