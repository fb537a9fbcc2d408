"""Whether the parts of a row lie in the objects that they belong to; ids that mean other classes show there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..taxonomy import PartTaxonomy
from .masks import decode_label_map, decode_rle

_TOLERATED = 0.1  # share of the labelled pixels; annotators and overlaps are not exact


def contradiction(row: Mapping[str, Any], taxonomy: PartTaxonomy) -> str | None:
    """What is wrong with the label maps of a row, in a sentence to follow its name; None if parts and objects agree.

    A part is misplaced if most of its pixels are outside the objects of its class.
    """
    part_map = decode_label_map(row["part_map"]["bytes"])
    misplaced = {}
    for part in row["parts"]:
        pixels = part_map == part
        if 2 * np.count_nonzero(pixels & _pixels_of(taxonomy.object_of(part), row)) < np.count_nonzero(pixels):
            misplaced[part] = np.count_nonzero(pixels)
    if sum(misplaced.values()) <= _TOLERATED * np.count_nonzero(part_map != taxonomy.ignore_index):
        return None
    part = max(misplaced, key=misplaced.__getitem__)
    where = "" if len(misplaced) == 1 else f", and {len(misplaced) - 1} more parts so"
    return (
        f"has {taxonomy.part_classes[part]!r} where there is no {taxonomy.object_classes[taxonomy.object_of(part)]}"
        f"{where}: the ids of its parts or of its objects mean other classes, as if they were counted from 1 or their "
        "palette had been changed. Use the files of the release as they are."
    )


def _pixels_of(object_id: int, row: Mapping[str, Any]) -> np.ndarray | bool:
    """(H, W) bool, or False if the row has no such object."""
    if "object_map" in row:
        return decode_label_map(row["object_map"]["bytes"]) == object_id
    masks = [decode_rle(item["mask"]) for item in row["instances"] if item["category"] == object_id]
    return np.logical_or.reduce(masks) if masks else False
