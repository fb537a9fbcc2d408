"""From part classes to the prompts of PartCLIPSeg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import BatchEncoding

from ...errors import OVPartsError
from ...utils.files import brief
from ..part_object import NO_OBJECT, PartObjectNames
from ..processing import PartSegmentationProcessor


class PartCLIPSegProcessor(PartSegmentationProcessor):
    """As `PartSegmentationProcessor`, which see; class names become three prompts each.

    `input_ids` and `attention_mask` are (classes, 3, length): the part name, the object name, and the name that the
    released code takes for the object's (`PartCLIPSegConfig.object_condition`). Classes that are no part of an object,
    as free text or an object itself, have the first alone: the other two are masked everywhere.
    """

    auto_classes = {"AutoProcessor": "PartCLIPSegProcessor"}

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        templates: None = None,
        prompt_lengths: None = None,
        possessive: bool = False,
        scores: str = "logits",
        **kwargs: Any,
    ):
        for name, value in (("templates", templates), ("prompt_lengths", prompt_lengths)):
            if value is not None:
                raise OVPartsError(f"{name} is {brief(value)}; PartCLIPSeg encodes plain names: leave it out.")
        super().__init__(image_processor, tokenizer, possessive=possessive, scores=scores, **kwargs)

    def _tokenize(self, classes: Sequence[str], return_tensors: str | None, **options: Any) -> BatchEncoding:
        found = PartObjectNames.of(self._check_classes(classes))
        tokens = self.tokenize_names(found.names, None, **options)
        rows = [condition_rows(found, i) for i in range(len(classes))]
        data = {
            "input_ids": [_pick(tokens["input_ids"], row) for row in rows],
            "attention_mask": [_pick(tokens["attention_mask"], row) for row in rows],
        }
        return BatchEncoding(data).convert_to_tensors(return_tensors)

    def tokenize_names(self, names: Sequence[str], return_tensors: str | None = "pt", **options: Any) -> BatchEncoding:
        """Part names, object names or other text as (names, length)."""
        return super()._tokenize(names, return_tensors, **options)


def condition_rows(names: PartObjectNames, class_id: int) -> tuple[int, int, int]:
    """Positions of the three names of a class; `NO_OBJECT` where there is none."""
    part, object_id = names.part_ids[class_id], names.object_ids[class_id]
    if object_id == NO_OBJECT:
        return part, NO_OBJECT, NO_OBJECT
    return part, object_id, object_id - len(names.part_names)


def _pick(values: list[list[int]], row: tuple[int, ...]) -> list[list[int]]:
    return [[0] * len(values[row[0]]) if i == NO_OBJECT else values[i] for i in row]
