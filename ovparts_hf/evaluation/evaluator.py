"""Scores predictions by the benchmark's protocol: those of a model, or a folder of them."""

from __future__ import annotations

import itertools
import logging
import platform
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm
from transformers import PreTrainedModel

from ..data.masks import LabelMap
from ..data.part_dataset import PartDataset, PartSample
from ..data.records import Record, by_image
from ..errors import ConfigurationError, DatasetError
from ..inference.decoding import Decoding
from ..inference.refinement import MaskRefiner
from ..inference.tta import NO_TTA, TestTimeAugmentation
from ..metrics import ImageCounts, PartSegmentationMetric
from ..metrics.flavours import FlavourName
from ..models.processing import PartSegmentationProcessor
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import Setting, Task, get_setting, get_task
from ..utils.arguments import check_positive
from ..utils.resize import resize_nearest, shortest_edge_size
from .bootstrap import bootstrap
from .extra_scores import ExtraScores
from .objects import ObjectSource
from .predictor import Compat, Prediction, Predictor
from .provenance import describe_model, objection
from .ranking import RecordScore, score_record
from .results import BenchmarkResult, describe_breakdowns, describe_classes
from .sharding import whole_parameters
from .submission import read_manifest

logger = logging.getLogger(__name__)


class Evaluator:
    """Counts predictions one by one, and makes a `BenchmarkResult` of what was counted."""

    def __init__(
        self,
        taxonomy: PartTaxonomy,
        task: str | Task = "zero_shot",
        setting: str | Setting = Setting.ORACLE_OBJ,
        metrics: FlavourName = "ov_parts",
        boundary: bool = False,
        label_size: Sequence[int] | None = None,
        extra_scores: ExtraScores | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.task, self.setting = get_task(task), get_setting(setting)
        self.label_size = None if label_size is None else list(label_size)
        seen_ids, pred_all = self.task.seen_ids(taxonomy), self.setting is Setting.PRED_ALL
        names, ignore_index = taxonomy.part_classes, taxonomy.ignore_index
        self.metric = PartSegmentationMetric(names, seen_ids, ignore_index, metrics, pred_all, boundary)
        self.image_counts = ImageCounts(self.metric.num_classes)
        self.scores: list[RecordScore] = []
        self.extra_scores = extra_scores

    def add(self, prediction: Prediction, object_only: bool = True) -> RecordScore:
        """Counts a record's prediction; `object_only` drops what is outside of its object, never with `pred_all`."""
        sample = prediction.sample
        part_map, object_map = sample.part_map, sample.object_map
        if self.label_size is not None:
            size = shortest_edge_size(*part_map.shape, *self.label_size)
            part_map, object_map = resize_nearest(part_map, size), resize_nearest(object_map, size)
        inside = None
        if object_only and not self.metric.pred_all:
            inside = object_map != self.metric.ignore_index
        matrix = self.metric.update(prediction.label_map, part_map, inside)
        self.image_counts.add(sample.image_id, matrix)
        self.scores.append(score_record(prediction.record, matrix))
        if self.extra_scores is not None:
            self.extra_scores.add(prediction, part_map, inside)
        return self.scores[-1]

    def gather(self, accelerator: Accelerator) -> None:
        """Gives every process what all of them counted."""
        counts = {name: torch.from_numpy(array).to(accelerator.device) for name, array in self.metric.counts.items()}
        self.metric.reset()
        self.metric.merge({name: accelerator.reduce(array, "sum").cpu().numpy() for name, array in counts.items()})
        shares = gather_object([self.image_counts])
        self.image_counts = ImageCounts(self.metric.num_classes)
        for share in shares:
            self.image_counts.merge(share)
        self.scores = gather_object(self.scores)
        if self.extra_scores is not None:
            self.extra_scores.gather(accelerator)

    def result(
        self, dataset: dict[str, Any], model: dict[str, Any], intervals: bool = True, **facts: Any
    ) -> BenchmarkResult:
        """The numbers so far; `intervals`: with their confidence intervals. The rest are fields of the result."""
        metric = self.metric
        classes = describe_classes(self.taxonomy, metric.seen_ids)
        drawn = bootstrap(self.image_counts, metric.seen_ids, metric.metrics, metric.pred_all) if intervals else {}
        extra = {} if self.extra_scores is None else {"extra_scores": self.extra_scores.compute()}
        return BenchmarkResult(
            metrics={**metric.compute(), **extra},
            classes=classes,
            task=self.task.name,
            setting=self.setting.value,
            dataset=dataset,
            model=model,
            flavour=metric.metrics,
            intervals=drawn,
            breakdowns=describe_breakdowns(metric, classes, self.image_counts),
            **facts,
        )


def evaluate_model(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    task: str | Task = "zero_shot",
    setting: str | Setting = Setting.ORACLE_OBJ,
    *,
    batch_size: int = 8,
    workers: int = 0,
    compat: Compat | None = "ov_parts",
    sliding_window: bool = False,
    objects: ObjectSource | None = None,
    test_time: TestTimeAugmentation = NO_TTA,
    metrics: FlavourName = "ov_parts",
    refiner: MaskRefiner | None = None,
    decode: Decoding = "argmax",
    **options: Any,
) -> BenchmarkResult:
    """Scores a model.

    Class names are encoded once (or looked up, if the model was saved with them), each image goes through the model
    once however many objects it has, and only the parts of its objects are decoded. A model with `object_crop_margin`
    sees each object by itself, unless none is given or found (docs/training.md).

    Args:
        model: On the device to be used, see `accelerator` for several.
        processor: The model's processor.
        dataset: What to evaluate on; its vocabulary is used, whatever the model was trained with.
        task: Name of the task: which records are scored and which classes count as seen.
        setting: What is given: "oracle_obj" class and mask of each object, "pred_obj" what `objects` finds,
            "pred_all" nothing.
        batch_size: Images, or crops of objects, in a forward pass.
        workers: Processes that read images.
        compat: "ov_parts" does what the published numbers depend on: it brings the label maps to the size of the
            benchmark's data mapper first, which shifts their borders by up to a pixel, and gives the families with
            `substring_candidates` every part whose class contains the object's name as a candidate. None scores the
            labels as they are stored, and has an object's own parts as its only candidates.
        sliding_window: Whether to score overlapping windows and the whole image, and to average (CATSeg).
        objects: Where the objects of "pred_obj" come from.
        test_time: Views of an image to average, and refinement of scores; nothing of that in the benchmark.
        metrics: Whose definitions of the numbers to use, see docs/protocol.md.
        refiner: Makes the label maps sharper before they are scored (`inference.refinement`); not in the benchmark.
        decode: "rankseg" lets RankSEG choose classes (`inference.decoding`); such a result says so, is never called
            official, and is left out of cards.
        **options: `max_images`: score only the first so many. `boundary`: score borders too. `extra_scores`: also the
            scores of other papers, which the result then has as `metrics["extra_scores"]` (docs/scores.md).
            `image_counts`, `scores`: an `ImageCounts` and a list that are given what was counted in each record, and
            its score. `intervals`: False saves the seconds that confidence intervals take. `seed`: only noted in the
            result, as nothing here is random. `accelerator`: if it has several processes, each scores its share and all
            get the whole result; its mixed precision is used. `progress`: False hides the bar.

    Returns:
        The numbers and where they come from.

    Raises:
        ConfigurationError: The setting needs more than this model and dataset, or there is nothing to score.
    """
    for old, new in (("max_pictures", "max_images"), ("pictures", "image_counts")):
        if old in options:
            warnings.warn(f"{old} is now called {new}.", FutureWarning, stacklevel=2)
            options[new] = options.pop(old)
    predictor = Predictor(
        *(model, processor, dataset, setting, metrics, compat, objects, test_time, sliding_window, batch_size, workers),
        refiner=refiner,
        decode=decode,
    )
    return evaluate(predictor, task, **options)


def evaluate(
    predictor: Predictor,
    task: str | Task = "zero_shot",
    *,
    max_images: int | None = None,
    boundary: bool = False,
    extra_scores: bool = False,
    image_counts: ImageCounts | None = None,
    scores: list[RecordScore] | None = None,
    intervals: bool = True,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    progress: bool = True,
) -> BenchmarkResult:
    """Scores a model with options that are at hand as a `Predictor`; see `evaluate_model`."""
    check_positive(max_images=max_images)
    task, dataset, model = get_task(task), predictor.dataset, predictor.model
    accelerator = accelerator or Accelerator(cpu=model.device.type == "cpu")
    warning = objection(model.config.trained_on, dataset.taxonomy, task)
    if warning is not None and accelerator.is_main_process:
        logger.warning(warning)
    all_images = by_image(dataset.evaluation_records(task))
    images = list(itertools.islice(all_images, max_images))
    if not images:
        raise ConfigurationError(f"The dataset {dataset.taxonomy.name!r} has no labelled object to evaluate on.")
    label_size = model.config.eval_label_size if predictor.compat == "ov_parts" else None
    extra = ExtraScores(dataset, task, predictor.setting) if extra_scores else None
    evaluator = Evaluator(dataset.taxonomy, task, predictor.setting, predictor.metrics, boundary, label_size, extra)

    start = time.perf_counter()
    share = itertools.chain.from_iterable(images[accelerator.process_index :: accelerator.num_processes])
    with whole_parameters(model):
        shown = progress and accelerator.is_main_process
        predictions = predictor.predict(list(share), shown, part_scores=extra is not None and extra.with_instances)
        with accelerator.autocast():
            for prediction in predictions:
                evaluator.add(prediction)
    evaluator.gather(accelerator)
    seconds = time.perf_counter() - start

    if image_counts is not None:
        image_counts.merge(evaluator.image_counts)
    if scores is not None:
        scores.extend(evaluator.scores)
    options = {"label_size": evaluator.label_size, "mixed_precision": accelerator.mixed_precision}
    counts = {"num_images": len(images), "num_records": len(evaluator.scores), "total_images": len(all_images)}
    return evaluator.result(
        _describe_data(dataset, task, **counts),
        describe_model(model),
        intervals,
        seed=seed,
        config={**predictor.describe(), **options},
        hardware={
            "device": str(model.device),
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": accelerator.num_processes,
        },
        timings={"seconds": seconds, "images_per_second": len(images) / seconds},
    )


def _describe_data(dataset: PartDataset, task: Task, **counts: int) -> dict[str, Any]:
    facts = {"name": dataset.taxonomy.name, "fingerprint": dataset.fingerprint, **counts}
    return {**facts, "few_shot": dataset.few_shot_source} if task.held_out_config else facts


def score_folder(
    folder: str | Path,
    dataset: PartDataset,
    metrics: FlavourName = "ov_parts",
    *,
    boundary: bool = False,
    label_size: Sequence[int] | None = None,
    extra_scores: bool = False,
    progress: bool = True,
) -> tuple[BenchmarkResult, ImageCounts]:
    """Scores the predictions that a manifest names, without the model that made them; also gives each record's counts.

    The label maps are first brought to `label_size` (short edge, longest edge), or scored as they are stored.
    `extra_scores` are those of `evaluate_model`, but for part AP, which needs a confidence for each part.
    """
    manifest, files = read_manifest(folder, dataset)
    task, setting = get_task(manifest["task"]), get_setting(manifest["setting"])
    extra = ExtraScores(dataset, task, setting) if extra_scores else None
    evaluator = Evaluator(dataset.taxonomy, task, setting, metrics, boundary, label_size, extra)
    images = by_image(files)
    pred_all = evaluator.setting is Setting.PRED_ALL
    groups = images if pred_all else [[record] for record in files]

    start = time.perf_counter()
    for group in tqdm(groups, desc="Scoring", unit="record", disable=not progress):
        record = Record(group[0].split, group[0].row) if pred_all else group[0]
        sample, path = dataset.read_objects(group), files[group[0]]
        prediction = Prediction(record, sample, _read_map(path, sample, manifest["bits"]))
        try:
            evaluator.add(prediction, object_only=evaluator.setting is Setting.ORACLE_OBJ)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path.name}: {error}") from error

    result = evaluator.result(
        {**manifest["dataset"], "num_images": len(images), "num_records": len(groups)},
        {"name": manifest["model"], "type": "predictions"},
        seed=0,
        config={"label_size": evaluator.label_size},
        timings={"seconds": time.perf_counter() - start},
    )
    return result, evaluator.image_counts


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
