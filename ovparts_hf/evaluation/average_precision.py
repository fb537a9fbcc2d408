"""Part AP: COCO's average precision of part masks, where the objects of a dataset are instances."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..data.records import Record

AP_NAMES = ("AP", "AP50", "AP75", "AP_seen", "AP_unseen")
_IN_ALL, _IN_50, _IN_75 = slice(None), slice(0, 1), slice(5, 6)  # of the thresholds 0.50, 0.55, ..., 0.95


@dataclass(frozen=True)
class PartMasks:
    """The parts of one instance of an object, as run lengths by part id."""

    record: Record
    labelled: Mapping[int, dict[str, Any]]
    predicted: Mapping[int, dict[str, Any]]
    scores: Mapping[int, float]  # of the predicted parts

    @classmethod
    def from_maps(
        cls, record: Record, part_map: np.ndarray, label_map: np.ndarray, scores: Mapping[int, float]
    ) -> PartMasks:
        """Of two maps (H, W) of part ids, with negative values where there is none."""
        return cls(record, _encode(part_map), _encode(label_map), scores)


def average_precision(instances: Iterable[PartMasks], seen: np.ndarray) -> dict[str, float]:
    """AP, AP50, AP75 and AP over seen and unseen parts in percent, NaN where undefined; `seen` is bool (parts,)."""
    ordered = sorted(instances, key=lambda masks: _key(masks.record))
    image_ids = {image: number for number, image in enumerate(dict.fromkeys(_image(m.record) for m in ordered))}
    sizes: dict[int, Sequence[int]] = dict.fromkeys(image_ids.values(), (0, 0))
    truths, found = [], []
    for masks in ordered:
        image_id = image_ids[_image(masks.record)]
        for mask in (*masks.labelled.values(), *masks.predicted.values()):
            sizes[image_id] = mask["size"]
        for part, mask in masks.labelled.items():
            area = float(coco_mask.area(mask))
            place = {"image_id": image_id, "category_id": part, "id": len(truths) + 1}
            truths.append({**place, "segmentation": mask, "area": area, "iscrowd": 0})
        for part, mask in masks.predicted.items():
            place = {"image_id": image_id, "category_id": part}
            found.append({**place, "segmentation": mask, "score": masks.scores[part]})
    if not truths:
        return dict.fromkeys(AP_NAMES, float("nan"))
    precision = _precision(truths, found, sizes, len(seen))
    every = np.ones(len(seen), dtype=bool)
    chosen = ((_IN_ALL, every), (_IN_50, every), (_IN_75, every), (_IN_ALL, seen), (_IN_ALL, ~seen))
    return {name: _mean(precision[thresholds][..., parts]) for name, (thresholds, parts) in zip(AP_NAMES, chosen)}


def _precision(
    truths: list[dict[str, Any]], found: list[dict[str, Any]], sizes: Mapping[int, Sequence[int]], parts: int
) -> np.ndarray:
    """float64 (10 thresholds, 101 recalls, parts), -1 for a part that no truth has."""
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": number, "height": size[0], "width": size[1]} for number, size in sizes.items()],
        "annotations": truths,
        "categories": [{"id": part} for part in range(parts)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found) if found else COCO(), "segm")
        evaluation.params.catIds, evaluation.params.imgIds = list(range(parts)), list(sizes)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0, -1]


def _mean(precision: np.ndarray) -> float:
    defined = precision[precision > -1]
    return 100 * float(defined.mean()) if len(defined) else float("nan")


def _encode(label_map: np.ndarray) -> dict[int, dict[str, Any]]:
    parts = np.unique(label_map[label_map >= 0]).tolist()
    return {part: coco_mask.encode(np.asfortranarray(label_map == part, dtype=np.uint8)) for part in parts}


def _image(record: Record) -> tuple[str, int]:
    return record.split, record.row


def _key(record: Record) -> tuple[str, int, int]:
    return record.split, record.row, record.instance
