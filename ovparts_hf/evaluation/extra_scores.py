"""What an evaluation counts for the scores of other papers, beside the benchmark's own; docs/scores.md states them."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..metrics import ImageCounts, PartSegmentationMetric
from ..metrics.confusion import confusion_matrix, with_none
from ..metrics.extra_scores import fold_objects, mask_scores, over_segmentation, under_segmentation
from ..taxonomy import PASCAL_PART_116
from ..taxonomy.tasks import Setting, Task
from ..utils.resize import resize_nearest
from .average_precision import PartMasks, average_precision
from .predictor import Prediction


class ExtraScores:
    """Counts predictions one by one.

    An object is its mask where HOPS's published evaluation has it so (Pascal-Part-116), and elsewhere, as there, the
    union of its labelled parts.
    """

    def __init__(self, dataset: PartDataset, task: Task, setting: Setting) -> None:
        self.dataset, self.taxonomy = dataset, dataset.taxonomy
        names, seen_ids = self.taxonomy.part_classes, task.seen_ids(self.taxonomy)
        self.pred_all = setting is Setting.PRED_ALL
        self.with_instances = setting is Setting.ORACLE_OBJ and dataset.layout == "instance"
        self.with_object_masks = self.pred_all and self.taxonomy.name == PASCAL_PART_116.name
        self.metric = PartSegmentationMetric(names, seen_ids, self.taxonomy.ignore_index, "strict", self.pred_all)
        self.image_counts = ImageCounts(len(names))
        objects = len(self.taxonomy.object_classes) + 1
        self.object_counts = np.zeros((objects, objects), dtype=np.int64)
        self.instances: list[PartMasks] = []

    def add(self, prediction: Prediction, part_map: np.ndarray, inside: np.ndarray | None) -> None:
        """Counts a record's prediction; the labels (H, W) may have another size, as `Evaluator` counts them."""
        matrix = self.metric.update(prediction.label_map, part_map, inside)
        self.image_counts.add(prediction.sample.image_id, matrix)
        if self.with_object_masks:
            self._add_objects(prediction, part_map.shape)
        if self.with_instances and prediction.part_scores is not None:
            self.instances.append(self._part_masks(prediction, part_map, inside))

    def gather(self, accelerator: Accelerator) -> None:
        """Gives every process what all of them counted."""
        counts = torch.from_numpy(self.object_counts).to(accelerator.device)
        self.object_counts = accelerator.reduce(counts, "sum").cpu().numpy()
        shares = gather_object([self.image_counts])
        self.image_counts = ImageCounts(self.image_counts.num_classes)
        for share in shares:
            self.image_counts.merge(share)
        self.instances = gather_object(self.instances)

    def compute(self) -> dict[str, float]:
        """The scores by name, in percent, NaN where undefined; those that the setting does not have are left out."""
        seen = np.isin(np.arange(self.metric.num_classes), self.metric.seen_ids)
        scores = mask_scores(self.image_counts.matrices())
        if self.pred_all:
            total, owners = self.image_counts.total(), np.array(self.taxonomy.part_object_ids)
            count = len(self.taxonomy.object_classes)
            objects = self.object_counts if self.with_object_masks else fold_objects(total, owners, count)
            scores |= over_segmentation(objects, np.isin(np.arange(count), owners[seen]))
            scores |= under_segmentation(total, seen)
        if self.instances:
            scores |= average_precision(self.instances, seen)
        return scores

    def _add_objects(self, prediction: Prediction, label_shape: tuple[int, int]) -> None:
        """Compares the objects that parts were found of with the masks of all objects in the image that have parts."""
        num_parts, num_objects = self.metric.num_classes, len(self.taxonomy.object_classes)
        ignore = self.taxonomy.ignore_index
        owners = np.array([*self.taxonomy.part_object_ids, num_objects])
        ids = with_none("prediction", prediction.label_map, num_parts, (-1, ignore, num_parts))
        record = prediction.record
        truth = self.dataset.read(Record(record.split, record.row)).object_map
        truth = resize_nearest(resize_nearest(truth, label_shape), ids.shape)
        truth = np.where(np.isin(truth, owners[:-1]), truth, num_objects)
        self.object_counts += confusion_matrix(owners[ids], truth, num_objects)

    def _part_masks(self, prediction: Prediction, part_map: np.ndarray, inside: np.ndarray) -> PartMasks:
        shape = prediction.label_map.shape
        truth, inside = resize_nearest(part_map, shape), resize_nearest(inside, shape, np.float32)
        truth = np.where(inside & (truth != self.taxonomy.ignore_index), truth, -1)
        found = np.where(inside, prediction.label_map, -1)
        return PartMasks.from_maps(prediction.record, truth, found, prediction.part_scores)
