"""Training images in which a trained model still takes parts for others: hard ones, or labels to be corrected."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..evaluation.evaluator import Evaluator
from ..evaluation.predictor import Predictor
from ..evaluation.ranking import RecordScore
from ..inference.visualization import comparison, stack
from ..taxonomy.tasks import Task, get_task
from ..utils.files import atomic_write

_MOST_RECORDS = 400
_SHOWN = 8
NAME = "most_confused"


def review_training(predictor: Predictor, task: str | Task, folder: Path) -> list[dict[str, Any]]:
    """Scores the objects that were trained on and lists those with confused pixels, the most confused first.

    Writes `most_confused.json`, `most_confused.csv` and, of the first ones, `most_confused.png`. Of more than 400
    objects, 400 spread over the data are looked at.
    """
    task, dataset = get_task(task), predictor.dataset
    records = dataset.training_records(task, "object")
    records = records[:: max(1, -(-len(records) // _MOST_RECORDS))]
    evaluator = Evaluator(dataset.taxonomy, task, predictor.setting, metrics="strict")
    scores = [evaluator.add(prediction) for prediction in predictor.predict(records, progress=True)]
    confused = sorted((score for score in scores if score.mistaken), key=lambda score: -score.confused)
    rows = [_row(dataset, score) for score in confused]
    _write(folder, rows, _sheet(predictor, [score.record for score in confused[:_SHOWN]]))
    return rows


def _row(dataset: PartDataset, score: RecordScore) -> dict[str, Any]:
    taxonomy, record = dataset.taxonomy, score.record
    part, prediction = (taxonomy.part_classes[i] for i in score.mistaken)
    return {
        "image_id": dataset.splits[record.split].select_columns("image_id")[record.row]["image_id"],
        "object": taxonomy.object_classes[record.object_id],
        "confused": round(score.confused, 4),
        "IoU": round(score.iou, 2),
        "part": part,
        "taken_for": prediction,
    }


def _sheet(predictor: Predictor, records: Sequence[Record]) -> Any:
    """Image, labels and prediction of each record, below each other; None without any."""
    names, ignored = predictor.dataset.taxonomy.part_classes, predictor.dataset.taxonomy.ignore_index
    panels = []
    for record in records:
        [prediction] = predictor.predict([record])
        shown = prediction.label_map.copy()
        shown[prediction.sample.object_map == ignored] = -1
        panels.append(comparison(prediction.sample.image, prediction.sample.part_map, shown, names))
    return stack(panels) if panels else None


def _write(folder: Path, rows: Sequence[dict[str, Any]], sheet: Any) -> None:
    with atomic_write(folder / f"{NAME}.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (
        atomic_write(folder / f"{NAME}.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, ["image_id", "object", "confused", "IoU", "part", "taken_for"])
        writer.writeheader()
        writer.writerows(rows)
    if sheet is not None:
        with atomic_write(folder / f"{NAME}.png") as temporary:
            sheet.save(temporary, format="PNG")
