"""Pictures for a report: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image
from transformers import PreTrainedModel

from .data.part_dataset import PartDataset
from .data.records import Record
from .evaluation import score
from .metrics import PartSegmentationMetric
from .prediction import Prediction, predict_records
from .processing import PartSegmentationProcessor
from .report import Gallery, GalleryItem
from .tasks import Task, get_task
from .visualization import comparison


def build_galleries(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    task: str | Task = "zero_shot",
    count: int = 6,
) -> list[Gallery]:
    """Shows a model's answers for seen and for unseen objects.

    The examples do not depend on the answers: they are the first record of each object class, in the dataset's order.

    Args:
        model: The model.
        processor: Its processor.
        dataset: What it is evaluated on.
        task: Which records there are and which objects count as seen.
        count: Examples in each gallery.

    Returns:
        One gallery for seen and one for unseen objects, without those that would be empty.
    """
    task = get_task(task)
    seen_parts = set(task.seen_ids(dataset.taxonomy))
    records = dataset.evaluation_records(task)
    galleries = []
    for title, wanted in (("Unseen objects", False), ("Seen objects", True)):
        matching = (r for r in records if (dataset.taxonomy.parts_of(r.object_id)[0] in seen_parts) == wanted)
        chosen = _one_of_each_object(matching, count)
        predictions = predict_records(model, processor, dataset, sorted(chosen, key=records.index))
        items = [_item(prediction, dataset) for prediction in predictions]
        if items:
            note = "The first record of each object, whatever the answer; scores are the mean IoU of the record."
            galleries.append(Gallery(title, dataset.taxonomy.part_classes, items, note))
    return galleries


def contact_sheet(gallery: Gallery, count: int = 3) -> Image.Image:
    """The first examples of a gallery below each other, as one RGB picture."""
    rows = [comparison(item.image, item.truth, item.prediction, gallery.class_names) for item in gallery.items[:count]]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def _one_of_each_object(records: Iterable[Record], count: int) -> list[Record]:
    chosen: dict[int, Record] = {}
    for record in records:
        if len(chosen) < count:
            chosen.setdefault(record.object_id, record)
    return list(chosen.values())


def _item(prediction: Prediction, dataset: PartDataset) -> GalleryItem:
    taxonomy, sample = dataset.taxonomy, prediction.sample
    metric = PartSegmentationMetric(taxonomy.part_classes, (), taxonomy.ignore_index)
    score(metric, prediction, taxonomy.ignore_index)
    inside = sample.object_map != taxonomy.ignore_index
    return GalleryItem(
        sample.image,
        sample.part_map,
        np.where(inside, prediction.label_map, -1),
        f"{taxonomy.object_classes[prediction.record.object_id]} ({sample.image_id})",
        metric.compute()["mIoU"],
    )
