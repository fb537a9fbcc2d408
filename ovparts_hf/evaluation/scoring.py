"""Scores a folder of predictions, whatever code made them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..data.masks import LabelMap
from ..data.part_dataset import PartDataset, PartSample
from ..data.records import Record
from ..errors import ConfigurationError, DatasetError
from ..metrics import ImageCounts, PartSegmentationMetric
from ..metrics.flavours import FlavourName
from ..taxonomy.tasks import Setting, get_setting, get_task
from ..utils.resize import resize_nearest, shortest_edge_size
from .bootstrap import bootstrap
from .results import BenchmarkResult, describe_breakdowns, describe_classes
from .submission import read_manifest


def score_folder(
    folder: str | Path,
    dataset: PartDataset,
    metrics: FlavourName = "ov_parts",
    *,
    boundary: bool = False,
    label_size: Sequence[int] | None = None,
    progress: bool = True,
) -> tuple[BenchmarkResult, ImageCounts]:
    """Scores predictions without the model that made them.

    Args:
        folder: With a manifest and the files that it names.
        dataset: What was predicted.
        metrics: Whose definitions to use, see docs/protocol.md.
        boundary: Whether to score borders too.
        label_size: (short edge, longest edge) that the label maps are brought to first, as the data mapper of the
            original does, or None to score the labels as they are stored.
        progress: Whether to show a bar.

    Returns:
        The numbers and what was counted in each record.

    Raises:
        ConfigurationError: The manifest is of other data or wants other maps, or a map has another depth or size than
            it must have or holds ids that are no class.
    """
    manifest, files = read_manifest(folder, dataset)
    task, setting = get_task(manifest["task"]), get_setting(manifest["setting"])
    taxonomy, seen_ids = dataset.taxonomy, task.seen_ids(dataset.taxonomy)
    pred_all = setting is Setting.PRED_ALL
    metric = PartSegmentationMetric(taxonomy.part_classes, seen_ids, taxonomy.ignore_index, metrics, pred_all, boundary)
    images = ImageCounts(metric.num_classes)

    start = time.perf_counter()
    groups = _groups(files, pred_all)
    for group in tqdm(groups, desc="Scoring", unit="record", disable=not progress):
        sample, path = dataset.read_objects(group), files[group[0]]
        label_map = _read_map(path, sample, manifest["bits"])
        part_map, inside = _labels(sample, taxonomy.ignore_index, label_size)
        matrix = _update(metric, path, label_map, part_map, inside if setting is Setting.ORACLE_OBJ else None)
        images.add(sample.image_id, matrix)

    classes = describe_classes(taxonomy, seen_ids)
    result = BenchmarkResult(
        metrics=metric.compute(),
        classes=classes,
        task=task.name,
        setting=setting.value,
        dataset={**manifest["dataset"], "num_images": _num_images(files), "num_records": len(groups)},
        model={"name": manifest["model"], "type": "predictions"},
        seed=0,
        flavour=metrics,
        intervals=bootstrap(images, seen_ids, metrics, pred_all),
        breakdowns=describe_breakdowns(metric, classes, images),
        config={"label_size": None if label_size is None else list(label_size)},
        timings={"seconds": time.perf_counter() - start},
    )
    return result, images


def _read_map(path: Path, sample: PartSample, bits: int) -> np.ndarray:
    try:
        values = LabelMap.from_png(path.read_bytes(), bits, path.name).values
    except DatasetError as error:
        raise ConfigurationError(f"{path.name} is no PNG with one channel of {bits} bits; write class ids.") from error
    if values.shape != sample.part_map.shape:
        raise ConfigurationError(
            f"{path.name} has (height, width) {values.shape}, but its image {sample.image_id} "
            f"{sample.part_map.shape}. Resize the scores to the image's size before taking the argmax."
        )
    return values


def _update(metric: PartSegmentationMetric, path: Path, *maps: np.ndarray | None) -> np.ndarray:
    try:
        return metric.update(*maps)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def _groups(records: Iterable[Record], pred_all: bool) -> list[list[Record]]:
    """What is scored together: each record alone, or with `pred_all` those of an image."""
    if not pred_all:
        return [[record] for record in records]
    return [list(group) for _, group in itertools.groupby(records, lambda record: (record.split, record.row))]


def _num_images(records: Iterable[Record]) -> int:
    return len({(record.split, record.row) for record in records})


def _labels(sample: PartSample, ignore_index: int, label_size: Sequence[int] | None) -> tuple[np.ndarray, np.ndarray]:
    part_map, object_map = sample.part_map, sample.object_map
    if label_size is not None:
        size = shortest_edge_size(*part_map.shape, *label_size)
        part_map, object_map = resize_nearest(part_map, size), resize_nearest(object_map, size)
    return part_map, object_map != ignore_index
