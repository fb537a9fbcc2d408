"""From images and class names to the inputs of PartCATSeg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import BatchEncoding

from ..processing import PartSegmentationProcessor
from .vocabulary import LEVELS, level_names


class PartCATSegProcessor(PartSegmentationProcessor):
    """Prepares each class three times: as it is ("dog's ear"), its part's name ("ear") and its object's ("dog").

    `input_ids` and `attention_mask` are (classes, 3 * templates, length). A class that names no object is its own part
    and its own object. For arguments and errors see `PartSegmentationProcessor`.
    """

    auto_classes = {"AutoProcessor": "PartCATSegProcessor"}

    @property
    def of_names(self) -> PartSegmentationProcessor:
        """The processor that prepares each name once, as it is."""
        settings = {name: getattr(self, name) for name in ("templates", "possessive", "scores")}
        return PartSegmentationProcessor(self.image_processor, self.tokenizer, **settings)

    def _tokenize(self, classes: Sequence[str], return_tensors: str | None, **options: Any) -> BatchEncoding:
        names = [name for class_name in self._check_classes(classes) for name in level_names(class_name)]
        tokens = super()._tokenize(names, None, **options)
        by_class = {
            key: [_flat(rows[i : i + LEVELS]) for i in range(0, len(rows), LEVELS)] for key, rows in tokens.items()
        }
        return BatchEncoding(by_class).convert_to_tensors(return_tensors)


def _flat(levels: Sequence[Sequence[Any]]) -> list[Any]:
    """The templates of all levels of a class; a single row of tokens is one template."""
    return [row for level in levels for row in (level if isinstance(level[0], list) else [level])]
