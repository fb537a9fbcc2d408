"""Images for a report: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from ..data.records import Record
from ..evaluation.evaluator import Evaluator
from ..evaluation.predictor import Prediction, Predictor
from ..evaluation.ranking import RecordScore, rank
from ..inference.visualization import comparison, stack
from ..taxonomy.tasks import Task, get_task
from .report import Gallery, GalleryItem

_RANKED = {
    "best": ("Best predictions", "The best record of each object that has several parts."),
    "worst": ("Worst predictions", "The worst record of each object."),
    "confused": ("Most confused", "Records in which the largest share of pixels was taken for another part."),
}
_SCORES = "Scores are the strict mean IoU of the record."


def build_galleries(
    predictor: Predictor, task: str | Task = "zero_shot", count: int = 6, scores: Sequence[RecordScore] = ()
) -> list[Gallery]:
    """Predictions for seen and unseen objects, then the best, worst and most confused of `scores`, if there are any.

    `predictor` is that of the evaluation.
    """
    task, dataset = get_task(task), predictor.dataset
    records = dataset.evaluation_records(task)
    galleries = _examples(predictor, task, records, count)
    for order, (title, note) in _RANKED.items():
        ranked = rank(scores, order, dataset.taxonomy, count)
        items = [_ranked_item(predictor, record_score, records, order == "confused") for record_score in ranked]
        galleries.append(Gallery(title, dataset.taxonomy.part_classes, items, f"{note} {_SCORES}"))
    return [gallery for gallery in galleries if gallery.items]


def contact_sheet(gallery: Gallery, count: int = 3) -> Image.Image:
    """The first examples of a gallery below each other, as one RGB image."""
    rows = [comparison(item.image, item.truth, item.prediction, gallery.class_names) for item in gallery.items[:count]]
    return stack(rows)


def _examples(predictor: Predictor, task: Task, records: list[Record], count: int) -> list[Gallery]:
    taxonomy = predictor.dataset.taxonomy
    seen_parts = set(task.seen_ids(taxonomy))
    note = f"The first record of each object, whatever the prediction. {_SCORES}"
    galleries = []
    for title, seen in (("Unseen objects", False), ("Seen objects", True)):
        matching = (r for r in records if (taxonomy.parts_of(r.object_id)[0] in seen_parts) == seen)
        chosen = sorted(_first_of_each_object(matching, count), key=records.index)
        items = [_item(predictor, prediction) for prediction in predictor.predict(chosen)]
        galleries.append(Gallery(title, taxonomy.part_classes, items, note))
    return galleries


def _first_of_each_object(records: Iterable[Record], count: int) -> list[Record]:
    chosen: dict[int, Record] = {}
    for record in records:
        if len(chosen) < count:
            chosen.setdefault(record.object_id, record)
    return list(chosen.values())


def _ranked_item(predictor: Predictor, ranked: RecordScore, records: list[Record], confused: bool) -> GalleryItem:
    scored = [ranked.record]
    if ranked.record.object_id is None:  # the whole image
        image = (ranked.record.split, ranked.record.row)
        scored = [record for record in records if (record.split, record.row) == image]
    [prediction] = predictor.predict(scored)
    names = predictor.dataset.taxonomy.part_classes
    remark = f", {names[ranked.mistaken[0]]} taken for {names[ranked.mistaken[1]]}" if confused else ""
    return _item(predictor, prediction, remark)


def _item(predictor: Predictor, prediction: Prediction, remark: str = "") -> GalleryItem:
    taxonomy, sample, record = predictor.dataset.taxonomy, prediction.sample, prediction.record
    found = Evaluator(taxonomy, setting=predictor.setting, metrics="strict").add(prediction)
    shown, caption = prediction.label_map, sample.image_id
    if record.object_id is not None:
        shown = np.where(sample.object_map != taxonomy.ignore_index, shown, -1)
        caption = f"{taxonomy.object_classes[record.object_id]} ({sample.image_id})"
    return GalleryItem(sample.image, sample.part_map, shown, caption + remark, found.iou)
