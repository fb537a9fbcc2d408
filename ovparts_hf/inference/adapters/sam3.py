"""SAM 3 (Carion et al., 2025): masks of everything that a short text names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .base import AdapterProcessor, SegmenterAdapter, mask_scores

TEXTS_AT_ONCE = 64
WORDS_AT_ONCE = {"cpu": 4, "cuda": 8}


class Sam3Segmenter(SegmenterAdapter):
    """A class scores as the best of its masks does; every class is looked for on its own."""

    kinds = {"sam3": "Sam3Model", "sam3_video": "Sam3Model", "sam3_lite_text": "Sam3LiteTextModel"}
    stock_processor = "Sam3Processor"  # also where the model is published with that for videos
    threshold = 0.3  # of transformers' `post_process_instance_segmentation`

    @torch.no_grad()
    def encode_vocabulary(
        self, processor: AdapterProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`: (classes, length, dim), and which tokens are no padding."""
        tokens = processor.tokenize_to_length(class_names, self.config.text_config.max_position_embeddings)
        rows = list(
            zip(*(tokens[name].to(self.device).split(TEXTS_AT_ONCE) for name in ("input_ids", "attention_mask")))
        )
        features = [
            self.model.get_text_features(input_ids=ids, attention_mask=mask, return_dict=True).pooler_output
            for ids, mask in tqdm(rows, desc="Encoding class names", disable=not progress)
        ]
        return {"class_features": torch.cat(features), "attention_mask": tokens["attention_mask"].to(self.device)}

    def score_image(self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]) -> tuple[torch.Tensor, None]:
        """See `SegmenterAdapter.score_image`."""
        image = self.model.get_vision_features(pixel_values=inputs["pixel_values"])
        count = WORDS_AT_ONCE.get(self.device.type, WORDS_AT_ONCE["cuda"])
        rows = zip(classes["class_features"].split(count), classes["attention_mask"].split(count))
        return torch.cat([self._score(image, *chunk) for chunk in rows]), None

    def _score(self, image: Any, features: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        repeated = type(image)(
            fpn_hidden_states=tuple(x.expand(len(features), *x.shape[1:]) for x in image.fpn_hidden_states),
            fpn_position_encoding=tuple(x.expand(len(features), *x.shape[1:]) for x in image.fpn_position_encoding),
        )
        outputs = self.model(
            vision_embeds=repeated,
            text_embeds=BaseModelOutputWithPooling(pooler_output=features),
            attention_mask=attention_mask,
        )
        scores = outputs.pred_logits.sigmoid() * outputs.presence_logits.sigmoid()
        return mask_scores(scores, outputs.pred_masks.sigmoid(), self.threshold).amax(1)
