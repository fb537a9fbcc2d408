"""PartCLIPSeg (Choi et al., NeurIPS 2024): parts and objects are found apart, and a part class where both are.

CLIPSeg's decoder is run for part names ("ear") and object names ("dog"); of both results, under the condition of both
names, the scores of "dog's ear" are made. All three are learned, while the attention of the decoder is controlled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.output_capturing import capture_outputs

from ...errors import ConfigurationError
from ..arguments import check_keywords, check_not_empty, selected_rows
from ..clip import text_features
from ..clipseg.modeling_clipseg import CLIPSegForPartSegmentation
from ..modeling_utils import PROMPTS_AT_ONCE, PartSegmentationOutput
from ..part_object import NO_OBJECT, PartObjectNames
from .configuration_partclipseg import PartCLIPSegConfig
from .decoder import Names, Pairs, PartObjectDecoder
from .processing_partclipseg import PartCLIPSegProcessor, condition_rows
from .scoring import Decoded

_COPIES = {
    "condition_film_mul": "film_mul",
    "condition_film_add": "film_add",
    "part_object_convolution": "transposed_convolution",
}
"""Layers of the decoder that CLIPSeg lacks -> those of CLIPSeg that they start from."""
_AT_RANDOM = ("condition_projection", "part_projection", "object_projection")


class PartCLIPSegForPartSegmentation(CLIPSegForPartSegmentation):
    """PartCLIPSeg for open-vocabulary part segmentation.

    A class without an object, as free text or an object itself ("dog"), scores what CLIPSeg's decoder gives its name.
    So the model finds objects beside their parts: `PartSegmenter` and the setting Pred-All look for parts inside them.

    Also loads stock CLIPSeg weights (`CIDAS/clipseg-rd64-refined`), from which training starts. What they lack then
    starts as in the authors' code: three layers as copies of CLIPSeg's, the others at random.
    """

    config: PartCLIPSegConfig
    config_class = PartCLIPSegConfig
    processor_class = PartCLIPSegProcessor
    decoder_class = PartObjectDecoder
    rows_per_class = (3,)
    fills_objects = True
    trains_on_objects = True
    new_parts = (*CLIPSegForPartSegmentation.new_parts, *(f"decoder.{name}." for name in (*_COPIES, *_AT_RANDOM)))
    # As CLIPSeg's; the released code trains VA+L+F+D, so that the "none" row keeps its random start.
    trainable_groups = {
        **CLIPSegForPartSegmentation.trainable_groups,
        "F": ("decoder.film_", "decoder.condition_film_"),
    }

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """See `PartSegmentationModel.from_pretrained`; of stock CLIPSeg weights, some layers are copied."""
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        missing = tuple(info["missing_keys"])
        for name, original in _COPIES.items():
            if any(key.startswith(f"decoder.{name}.") for key in missing):
                getattr(model.decoder, name).load_state_dict(getattr(model.decoder, original).state_dict())
        return (model, info) if output_loading_info else model

    @property
    def finds_objects_first(self) -> bool:
        """See `PartSegmentationModel.finds_objects_first`."""
        return True

    def describe(self) -> dict[str, Any]:
        """See `PartSegmentationModel.describe`; of a model with the released code's condition there is nothing."""
        condition, facts = self.config.object_condition, super().describe()
        return facts if condition == "part_row" else {"object_condition": condition, **facts}

    # ---- class names -------------------------------------------------------------------------------------------------

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`: (classes, 3, length) -> (classes, 3, projection dim).

        Equal prompts are encoded once. Those that are masked everywhere become zeros.
        """
        if input_ids.dim() != 3 or input_ids.shape[1] != 3:
            raise ConfigurationError(
                f"input_ids has shape {list(input_ids.shape)}; pass (classes, 3, length) from PartCLIPSegProcessor."
            )
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        ids, mask = input_ids.flatten(0, 1), mask.flatten(0, 1)
        is_named = mask.any(-1, keepdim=True)
        mask = mask.masked_fill(~is_named, 1)
        if torch.compiler.is_compiling():
            rows = text_features(self.clip, ids, mask)
        else:
            prompts, positions = torch.cat([ids, mask], dim=1).unique(dim=0, return_inverse=True)
            rows = text_features(self.clip, *prompts.chunk(2, dim=1)).index_select(0, positions)
        return rows.masked_fill(~is_named, 0).unflatten(0, input_ids.shape[:2])

    @torch.no_grad()
    def encode_class_names(
        self, processor: PartCLIPSegProcessor, class_names: Sequence[str], progress: bool = False
    ) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_class_names`; names that are saved with the model are looked up."""
        check_not_empty(class_names)
        found = PartObjectNames.of(class_names)
        known = self._stored_names()
        missing = [name for name in found.names if name not in known]
        groups = [missing[start : start + PROMPTS_AT_ONCE] for start in range(0, len(missing), PROMPTS_AT_ONCE)]
        for names in tqdm(groups, desc="Encoding class names", disable=not progress or not missing):
            tokens = processor.tokenize_names(names).to(self.device)
            self._check_tokens(tokens["input_ids"])
            ids, mask = (tokens[name][:, None].repeat(1, 3, 1) for name in ("input_ids", "attention_mask"))
            mask[:, 1:] = 0  # a name alone
            known.update(zip(names, self.encode_classes(ids, mask)[:, 0]))
        rows = torch.stack([known[name] for name in found.names])
        rows = torch.cat([rows, torch.zeros_like(rows[:1])])  # the last is where there is no object
        return rows[torch.tensor([condition_rows(found, i) for i in range(len(class_names))])]

    def _stored_names(self) -> dict[str, torch.Tensor]:
        """Features of part names, object names and other names, from those that are saved with the model."""
        if self.class_features is None:
            return {}
        found = PartObjectNames.of(self.config.class_names)
        return {
            found.names[position]: features
            for ids, of_class in zip(found.ids().tolist(), self.class_features)
            for position, features in zip(ids, of_class)
            if position != NO_OBJECT
        }

    def encode_vocabulary(
        self, processor: Any, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`."""
        inputs = super().encode_vocabulary(processor, class_names, progress)
        if self.config.export_format is not None:  # a graph decodes each class by itself
            return inputs
        return {**inputs, "name_ids": PartObjectNames.of(class_names).ids()}

    def tokenize_vocabulary(self, processor: Any, class_names: Sequence[str]) -> dict[str, torch.Tensor]:
        """See `OpenVocabularyModel.tokenize_vocabulary`."""
        tokens = super().tokenize_vocabulary(processor, class_names)
        return {**tokens, "name_ids": PartObjectNames.of(class_names).ids()}

    # ---- scores ------------------------------------------------------------------------------------------------------

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        include_none: bool = True,
        name_ids: torch.Tensor | None = None,
        object_labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; height and width are multiples of the patch size.

        "none" is that of part classes; with classes that have no object, that which is learned with objects.

        Args:
            name_ids: (classes, 2) int64, on the CPU, from `encode_vocabulary`: equal numbers for equal part names and
                object names, -1 for no object. With them each name is decoded once, without them once for each class,
                with the same scores.
            object_labels: Of the shape of `labels`, where whole objects are: at each pixel any class of the object that
                is there, or another value. None: objects are where their labelled parts are.
        """
        check_keywords(kwargs)
        if class_features is None and input_ids is None and name_ids is None and self.vocabulary is not None:
            name_ids = PartObjectNames.of(self.vocabulary).ids()
        class_features = self.resolve_class_features(class_features, input_ids, attention_mask)
        _check_vocabulary(class_features, name_ids)
        if labels is not None and name_ids is None:
            name_ids = _equal_names(class_features)
        batch, count = pixel_values.shape[0], class_features.shape[0]  # `len` would be fixed in an export
        selected = selected_rows(class_mask, batch, count, count + 1)
        decoded_at_once = name_ids is None or torch.compiler.is_compiling()
        names = Names.of(class_features, None if decoded_at_once else name_ids)
        if decoded_at_once:  # no shape depends on a value
            pairs = Pairs.all(batch, names.features.shape[0] + 1, pixel_values.device)
        else:
            selected = selected.cpu()
            selected[:, -1] = include_none or labels is not None
            pairs = Pairs.needed(names.used_by(selected))

        height, width = pixel_values.shape[-2:]
        patch = self.config.vision_config.patch_size
        prepared = self.decoder.prepare(
            self.encode_images(pixel_values), torch.cat([names.features, self.none_embedding])
        )
        conditions = torch.cat([self._conditions(class_features), self.none_embedding.expand(1, 2, -1)])
        decoded = Decoded(self.decoder, prepared, names, pairs, conditions, (height // patch, width // patch))
        scores = (decoded.all_scores if decoded_at_once else decoded.some_scores)(selected)
        loss = None if labels is None else decoded.loss(scores, labels, object_labels, self.config)
        logits, none_logits = scores.tensor_split([count], dim=1)
        none_logits = none_logits if include_none else None
        return PartSegmentationOutput(loss, logits, none_logits, self.unless_stored(class_features))

    def _conditions(self, class_features: torch.Tensor) -> torch.Tensor:
        """(classes, 3, dim) -> (classes, 2, dim): the two names under which a class is decoded."""
        part, object_name, in_its_place = class_features.unbind(1)
        condition = in_its_place if self.config.object_condition == "part_row" else object_name
        return torch.stack([condition, part], dim=1)


def _check_vocabulary(class_features: torch.Tensor, name_ids: torch.Tensor | None) -> None:
    if class_features.dim() != 3 or class_features.shape[1] != 3:
        raise ConfigurationError(
            f"class_features has shape {list(class_features.shape)}; pass (classes, 3, dim) from encode_vocabulary."
        )
    if name_ids is not None and name_ids.shape != (len(class_features), 2):
        raise ConfigurationError(
            f"name_ids has shape {list(name_ids.shape)}; pass two for each of the {len(class_features)} classes."
        )


def _equal_names(class_features: torch.Tensor) -> torch.Tensor:
    """`name_ids` of features whose names are not known, by their values."""
    names = class_features.detach()[:, :2]
    _, ids = names.flatten(0, 1).unique(dim=0, return_inverse=True)
    return ids.view(-1, 2).masked_fill((names == 0).all(-1), NO_OBJECT).cpu()
