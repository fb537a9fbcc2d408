"""Pictures of predictions, drawn on the way, so that progress can be seen."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..evaluation.predictor import Prediction, Predictor
from ..evaluation.sharding import whole_parameters
from ..inference.visualization import comparison, stack
from ..taxonomy.tasks import Task
from ..utils.files import atomic_write


def draw_samples(
    model: nn.Module, processor: Any, dataset: PartDataset, task: Task, count: int, autocast: AbstractContextManager
) -> Image.Image:
    """Image, ground truth and prediction of so many records, of different objects as far as there are any.

    All processes call it together.
    """
    records = choose_samples(dataset.evaluation_records(task), count)
    predictor = Predictor(model, processor, dataset, batch_size=1)
    with whole_parameters(model), autocast:
        return stack([_draw(predictor, prediction) for prediction in predictor.predict(records, False)])


def choose_samples(records: list[Record], count: int) -> list[Record]:
    """The first record of each object, then the second of each, and so on, up to so many."""
    seen: dict[int | None, int] = {}
    ranked = []
    for position, record in enumerate(records):
        seen[record.object_id] = seen.get(record.object_id, 0) + 1
        ranked.append((seen[record.object_id], position, record))
    return [record for _, _, record in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a JPEG file."""
    with atomic_write(path) as temporary:
        picture.save(temporary, "JPEG", quality=85)


def _draw(predictor: Predictor, prediction: Prediction) -> Image.Image:
    taxonomy, sample = predictor.dataset.taxonomy, prediction.sample
    shown = np.where(sample.object_map != taxonomy.ignore_index, prediction.label_map, -1)
    return comparison(sample.image, sample.part_map, shown, taxonomy.part_classes)
