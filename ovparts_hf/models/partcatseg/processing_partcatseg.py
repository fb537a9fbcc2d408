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

    def pack_names(self, names: Sequence[str]) -> BatchEncoding:
        """Tokens of names, each as it is, in the rows that classes have: three names in a row, of which the last is
        filled up.
        """
        filled = [*names, *names[:1] * (-len(names) % LEVELS)]
        return self._pack(filled).convert_to_tensors("pt")

    def _tokenize(self, classes: Sequence[str], return_tensors: str | None, **options: Any) -> BatchEncoding:
        names = [name for class_name in self._check_classes(classes) for name in level_names(class_name)]
        return self._pack(names, **options).convert_to_tensors(return_tensors)

    def _pack(self, names: Sequence[str], **options: Any) -> BatchEncoding:
        tokens = super()._tokenize(names, None, **options)
        starts = range(0, len(names), LEVELS)
        return BatchEncoding({key: [_flat(rows[i : i + LEVELS]) for i in starts] for key, rows in tokens.items()})


def _flat(levels: Sequence[Sequence[Any]]) -> list[Any]:
    """The templates of all levels of a class; a single row of tokens is one template."""
    return [row for level in levels for row in (level if isinstance(level[0], list) else [level])]
