"""What a row of a prepared dataset holds.

In the semantic layout an object is all pixels of its class; in the instance layout every object has a mask of its own.
The part ids inside each object are stored too, so that records can be listed without decoding an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..taxonomy import PartTaxonomy
from .masks import MODES, LabelMap, decode_rle, present_labels

if TYPE_CHECKING:  # `datasets` takes half a second to import, and only the columns need it
    import datasets


@dataclass(frozen=True)
class Instance:
    """One object of an image; its box is [x, y, width, height] in pixels, its mask compressed COCO run lengths."""

    category: int
    bbox: list[float]
    mask: dict[str, Any]


def semantic_features(taxonomy: PartTaxonomy) -> datasets.Features:
    """Columns of a dataset with an object map beside its part map, both of the taxonomy's depth."""
    from datasets import Features, Image, List, Value

    objects, parts = _class_labels(taxonomy)
    label_map = Image(mode=MODES[taxonomy.mask_bits][0])
    return Features(
        {
            "image_id": Value("string"),
            "image": Image(),
            "object_map": label_map,
            "part_map": label_map,
            "objects": List(objects),
            "object_parts": List(List(parts)),
            "parts": List(parts),
        }
    )


def instance_features(taxonomy: PartTaxonomy) -> datasets.Features:
    """Columns of a dataset with object instances beside its part map."""
    from datasets import Features, Image, List, Value

    objects, parts = _class_labels(taxonomy)
    instance = {
        "category": objects,
        "bbox": List(Value("float32"), length=4),
        "mask": {"size": List(Value("int32"), length=2), "counts": Value("string")},
        "parts": List(parts),
    }
    return Features(
        {
            "image_id": Value("string"),
            "image": Image(),
            "part_map": Image(mode=MODES[taxonomy.mask_bits][0]),
            "parts": List(parts),
            "instances": List(instance),
        }
    )


def semantic_row(
    image_id: str, image: bytes, object_map: LabelMap, part_map: LabelMap, taxonomy: PartTaxonomy
) -> dict[str, Any]:
    """One row of the semantic layout: the bytes of the JPEG file, stored untouched, and its two maps."""
    pairs = _present_pairs(object_map.values, part_map.values, taxonomy.ignore_index)
    objects = present_labels(object_map.values, taxonomy.ignore_index)
    return {
        "image_id": image_id,
        "image": _stored(image, f"{image_id}.jpg"),
        "object_map": _stored(object_map.png, f"{image_id}.png"),
        "part_map": _stored(part_map.png, f"{image_id}.png"),
        "objects": objects,
        "object_parts": [[part for object_id, part in pairs if object_id == present] for present in objects],
        "parts": present_labels(part_map.values, taxonomy.ignore_index),
    }


def instance_row(
    image_id: str,
    image: bytes,
    part_map: LabelMap,
    instances: Sequence[Instance],
    taxonomy: PartTaxonomy,
    suffix: str = ".jpg",
) -> dict[str, Any]:
    """One row of the instance layout: the bytes of the image file, stored untouched, its part map, and its objects."""
    columns = np.asfortranarray(part_map.values).T  # masks are decoded column by column, so this is the faster order
    return {
        "image_id": image_id,
        "image": _stored(image, f"{image_id}{suffix}"),
        "part_map": _stored(part_map.png, f"{image_id}.png"),
        "parts": present_labels(part_map.values, taxonomy.ignore_index),
        "instances": [
            {
                "category": instance.category,
                "bbox": instance.bbox,
                "mask": instance.mask,
                "parts": present_labels(columns[decode_rle(instance.mask).T], taxonomy.ignore_index),
            }
            for instance in instances
        ],
    }


def _class_labels(taxonomy: PartTaxonomy) -> tuple[datasets.ClassLabel, datasets.ClassLabel]:
    from datasets import ClassLabel

    return ClassLabel(names=list(taxonomy.object_classes)), ClassLabel(names=list(taxonomy.part_classes))


def _stored(data: bytes, path: str) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def _present_pairs(object_map: np.ndarray, part_map: np.ndarray, ignore_index: int) -> list[tuple[int, int]]:
    """(object id, part id) of all labelled pixels, each pair once, ascending."""
    labelled = (object_map != ignore_index) & (part_map != ignore_index)
    base = ignore_index + 1
    codes = np.unique(object_map[labelled].astype(np.int64) * base + part_map[labelled])
    return [divmod(int(code), base) for code in codes]
