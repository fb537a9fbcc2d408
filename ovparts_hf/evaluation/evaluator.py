"""Runs a model over the records of a dataset and scores it by the benchmark's protocol."""

from __future__ import annotations

import itertools
import logging
import platform
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import PreTrainedModel

from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..errors import ConfigurationError
from ..inference.engine import NO_TTA, TestTimeAugmentation
from ..metrics import ImageCounts, PartSegmentationMetric
from ..metrics.flavours import FlavourName
from ..models.processing import PartSegmentationProcessor
from ..taxonomy.tasks import Setting, Task, get_setting, get_task
from ..utils.resize import resize_nearest, shortest_edge_size
from .bootstrap import bootstrap
from .prediction import ObjectSource, Prediction
from .predictor import Compat, Predictor
from .ranking import RecordScore, score_record
from .results import BenchmarkResult, describe_breakdowns, describe_classes

logger = logging.getLogger(__name__)


def evaluate_model(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    task: str | Task = "zero_shot",
    setting: str | Setting = Setting.ORACLE_OBJ,
    *,
    batch_size: int = 8,
    workers: int = 0,
    max_images: int | None = None,
    compat: Compat | None = "ov_parts",
    sliding_window: bool = False,
    objects: ObjectSource | None = None,
    test_time: TestTimeAugmentation = NO_TTA,
    metrics: FlavourName = "ov_parts",
    boundary: bool = False,
    images: ImageCounts | None = None,
    scores: list[RecordScore] | None = None,
    intervals: bool = True,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    progress: bool = True,
) -> BenchmarkResult:
    """Scores a model.

    Class names are encoded once (or looked up, if the model was saved with them), each image goes through the model
    once however many objects it has, and only the parts of its objects are decoded.

    Args:
        model: On the device to be used, see `accelerator` for several.
        processor: The model's processor.
        dataset: What to evaluate on; its vocabulary is used, whatever the model was trained with.
        task: Name of the task: which records are scored and which classes count as seen.
        setting: What is given: "oracle_obj" class and mask of each object, "pred_obj" what `objects` finds,
            "pred_all" nothing.
        batch_size: Images in a forward pass.
        workers: Processes that read images.
        max_images: Score only the first so many images.
        compat: "ov_parts" does what the published numbers depend on: it brings the label maps to the size of the
            benchmark's data mapper first, which shifts their borders by up to a pixel, and lets the families with
            `substring_candidates` answer every part whose class contains the object's name. None scores the labels as
            they are stored, and lets an object answer its own parts only.
        sliding_window: Whether to score overlapping windows and the whole image, and to average (CATSeg).
        objects: Where the objects of "pred_obj" come from.
        test_time: Views of an image to average, and refinement of scores; nothing of that in the benchmark.
        metrics: Whose definitions of the numbers to use, see docs/protocol.md.
        boundary: Whether to score borders too.
        images: A store that is given what was counted in each record, or None.
        scores: A list that the score of each record is appended to, or None.
        intervals: Whether to compute confidence intervals.
        seed: Only noted in the result: nothing here is random.
        accelerator: If it has several processes, each scores its share and all get the whole result. Its mixed
            precision is used.
        progress: Whether to show a bar.

    Returns:
        The numbers and where they come from.

    Raises:
        ConfigurationError: The setting needs more than this model and dataset, or there is nothing to score.
    """
    task, setting = get_task(task), get_setting(setting)
    pred_all = setting is Setting.PRED_ALL
    predictor = Predictor(
        model, processor, dataset, setting, metrics, compat, objects, test_time, sliding_window, batch_size, workers
    )
    accelerator = accelerator or Accelerator(cpu=model.device.type == "cpu")
    taxonomy = dataset.taxonomy
    records = _first_images(dataset.evaluation_records(task), max_images)
    if not records:
        raise ConfigurationError(f"The dataset {taxonomy.name!r} has no labelled object to evaluate on.")
    published = model.config.eval_label_size if compat == "ov_parts" else None
    label_size = None if published is None else list(published)
    seen_ids = task.seen_ids(taxonomy)
    metric = PartSegmentationMetric(taxonomy.part_classes, seen_ids, taxonomy.ignore_index, metrics, pred_all, boundary)
    images = ImageCounts(metric.num_classes) if images is None else images

    start = time.perf_counter()
    share = _share(records, accelerator.process_index, accelerator.num_processes)
    predictions = predictor.predict(share, progress and accelerator.is_main_process)
    with accelerator.autocast():
        _count(metric, images, [] if scores is None else scores, predictions, label_size, accelerator)
    seconds = time.perf_counter() - start

    num_images = len({(record.split, record.row) for record in records})
    classes = describe_classes(taxonomy, seen_ids)
    return BenchmarkResult(
        metrics=metric.compute(),
        classes=classes,
        flavour=metrics,
        intervals=bootstrap(images, seen_ids, metrics, pred_all) if intervals else {},
        breakdowns=describe_breakdowns(metric, classes, images),
        task=task.name,
        setting=setting.value,
        dataset=_describe_data(dataset, task, num_images, num_images if pred_all else len(records)),
        model=_describe_model(model),
        seed=seed,
        config={
            **predictor.describe(),
            "label_size": label_size,
            "mixed_precision": accelerator.mixed_precision,
        },
        hardware={
            "device": str(model.device),
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": accelerator.num_processes,
        },
        timings={"seconds": seconds, "images_per_second": num_images / seconds},
    )


def _describe_model(model: PreTrainedModel) -> dict[str, Any]:
    """`revision` is the commit of a model from the Hub, None for a folder."""
    name = model.config.name_or_path or type(model).__name__
    return {"name": name, "type": model.config.model_type, "revision": getattr(model.config, "_commit_hash", None)}


def _describe_data(dataset: PartDataset, task: Task, num_images: int, num_records: int) -> dict[str, Any]:
    facts = {
        "name": dataset.taxonomy.name,
        "fingerprint": dataset.fingerprint,
        "num_images": num_images,
        "num_records": num_records,
    }
    return {**facts, "few_shot": dataset.few_shot_source} if task.held_out_config else facts


def _count(
    metric: PartSegmentationMetric,
    images: ImageCounts,
    scores: list[RecordScore],
    predictions: Iterable[Prediction],
    label_size: Sequence[int] | None,
    accelerator: Accelerator,
) -> None:
    """Counts this process's predictions, and adds up what all processes counted."""
    counted, scored = ImageCounts(metric.num_classes), []
    for prediction in predictions:
        matrix = score(metric, prediction, metric.ignore_index, label_size)
        counted.add(prediction.sample.image_id, matrix)
        scored.append(score_record(prediction.record, matrix))
    counts = {name: torch.from_numpy(array).to(accelerator.device) for name, array in metric.counts.items()}
    metric.reset()
    metric.merge({name: accelerator.reduce(array, "sum").cpu().numpy() for name, array in counts.items()})
    for each in gather_object([counted]):
        images.merge(each)
    scores.extend(gather_object(scored))


def score(
    metric: PartSegmentationMetric,
    prediction: Prediction,
    ignore_index: int,
    label_size: Sequence[int] | None = None,
) -> np.ndarray:
    """Counts one prediction, inside its object if there is one.

    Args:
        metric: Over the dataset's part classes.
        prediction: The answer.
        ignore_index: Of the dataset.
        label_size: (short edge, longest edge) that the label maps are brought to first, or None.

    Returns:
        What was counted, as `PartSegmentationMetric.update` does.
    """
    part_map, object_map = prediction.sample.part_map, prediction.sample.object_map
    if label_size is not None:
        size = shortest_edge_size(*part_map.shape, *label_size)
        part_map, object_map = resize_nearest(part_map, size), resize_nearest(object_map, size)
    inside = None if metric.pred_all else object_map != ignore_index
    return metric.update(prediction.label_map, part_map, inside)


def _first_images(records: list[Record], count: int | None) -> list[Record]:
    groups = itertools.groupby(records, lambda record: (record.split, record.row))
    return [record for _, group in itertools.islice(groups, count) for record in group]


def _share(records: list[Record], process: int, num_processes: int) -> list[Record]:
    groups = itertools.groupby(records, lambda record: (record.split, record.row))
    return [record for n, (_, group) in enumerate(groups) if n % num_processes == process for record in group]
