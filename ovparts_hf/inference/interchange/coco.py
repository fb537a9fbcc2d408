"""COCO's annotations of instances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pycocotools import mask as coco_mask

from ...errors import ConfigurationError
from ..instances import PartInstance
from .run_lengths import run_lengths

if TYPE_CHECKING:
    from ..result import PartSegmentation


def coco_annotation(instance: PartInstance, number: int, image_id: int) -> dict[str, Any]:
    """One annotation, JSON-ready, see `PartSegmentation.to_coco`."""
    left, top, right, bottom = instance.box
    counts = run_lengths(instance.crop.T, instance.image_size[::-1], top, left)  # column by column
    size = list(instance.image_size)
    encoded = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)
    annotation = {
        "id": number,
        "image_id": image_id,
        "category_id": instance.class_id + 1,
        "category": instance.label,
        "segmentation": {"size": size, "counts": encoded["counts"].decode("ascii")},
        "area": instance.area,
        "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
        "iscrowd": 0,
        "score": round(instance.score, 6),
    }
    return annotation if instance.object_id is None else annotation | {"object_id": instance.object_id}


class CocoFile:
    """The results of several images as one file of COCO, with ids from 1."""

    def __init__(self) -> None:
        self.dataset: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}

    def add(self, result: PartSegmentation, file_name: str, instances: Sequence[PartInstance]) -> None:
        """Adds an image; results of other classes than before are refused."""
        images, annotations = self.dataset["images"], self.dataset["annotations"]
        if images and result.coco_categories() != self.dataset["categories"]:
            raise ConfigurationError(f"Result {len(images) + 1} has other classes than those before.")
        self.dataset["categories"] = result.coco_categories()
        images.append(result.coco_image(len(images) + 1, file_name))
        for instance in instances:
            annotations.append(coco_annotation(instance, len(annotations) + 1, len(images)))

    def files(self) -> dict[str, str]:
        """From names of files to what is in them."""
        return {"coco.json": json.dumps(self.dataset)}
