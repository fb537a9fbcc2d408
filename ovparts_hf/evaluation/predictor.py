"""A model with everything that decides how it is asked: the setting, the flavour and the options at test time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..errors import ConfigurationError
from ..inference.engine import NO_TTA, TestTimeAugmentation, takes_any_size
from ..metrics.flavours import FlavourName
from ..models.processing import PartSegmentationProcessor
from ..taxonomy.tasks import Setting, get_setting
from .prediction import ObjectSource, Prediction, predict_records
from .whole_images import predict_images, refuse_object_masks

Compat = Literal["ov_parts"]


@dataclass
class Predictor:
    """Answers records as a setting wants it. Class names are encoded once, with the first question.

    Args:
        model: On the device to be used.
        processor: The model's processor.
        dataset: Where records come from; its vocabulary is used, whatever the model was trained with.
        setting: What the model is told about objects.
        metrics: Whose definition of `pred_all` to use.
        compat: "ov_parts" lets the families with `substring_candidates` answer every part whose class contains the
            object's name; with None an object has its own parts only.
        objects: Where the objects of `pred_obj` come from; None for the other settings.
        test_time: Options at test time.
        sliding_window: Whether to score overlapping windows and the whole image, and to average (CATSeg).
        batch_size: Images in a forward pass, where the model can take several.
        workers: Processes that read images; with `objects`, the process itself reads them.

    Raises:
        ConfigurationError: The options do not fit each other or the model.
    """

    model: PreTrainedModel
    processor: PartSegmentationProcessor
    dataset: PartDataset
    setting: str | Setting = Setting.ORACLE_OBJ
    metrics: FlavourName = "ov_parts"
    compat: Compat | None = "ov_parts"
    objects: ObjectSource | None = None
    test_time: TestTimeAugmentation = NO_TTA
    sliding_window: bool = False
    batch_size: int = 8
    workers: int = 0
    _words: dict[str, torch.Tensor] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.setting = get_setting(self.setting)
        if (self.setting is Setting.PRED_OBJ) != (self.objects is not None):
            given = "none were given" if self.objects is None else "some were given"
            raise ConfigurationError(
                f"Setting 'pred_obj' needs a source of objects and no other setting does; with {self.setting.value!r} "
                f"{given}. See ovparts_hf.evaluation.objects, or `ovparts evaluate --objects`."
            )
        if self.setting is Setting.PRED_ALL:
            refuse_object_masks(self.model)
        if self.sliding_window:
            self.processor = _with_sliding_window(self.processor)

    @property
    def by_substring(self) -> bool:
        """Whether candidates are chosen by substring, as in the original."""
        return self.compat == "ov_parts" and self.model.substring_candidates and self.setting is not Setting.PRED_ALL

    def predict(self, records: Sequence[Record], progress: bool = False) -> Iterator[Prediction]:
        """Answers records.

        Args:
            records: Objects; those of one image are adjacent.
            progress: Whether to show a bar.

        Yields:
            A prediction for each, with `pred_all` for each image.
        """
        if self._words is None:
            names = self.dataset.taxonomy.part_classes
            self._words = self.model.encode_vocabulary(self.processor, names, progress)
        if self.setting is Setting.PRED_ALL:
            return predict_images(
                self.model,
                self.processor,
                self.dataset,
                records,
                self.workers,
                progress,
                words=self._words,
                objects_first=self.metrics == "partclipseg",
                test_time=self.test_time,
            )
        return predict_records(
            self.model,
            self.processor,
            self.dataset,
            records,
            self.batch_size,
            self.workers,
            progress,
            words=self._words,
            by_substring=self.by_substring,
            objects=self.objects,
            test_time=self.test_time,
        )

    def describe(self) -> dict[str, Any]:
        """What `BenchmarkResult.config` says of the options."""
        rule = "substring" if self.by_substring else "id"
        tta = "off"
        if self.test_time.tta:
            tta = "scales and flip" if takes_any_size(self.processor) else "flip"
        return {
            "compat": self.compat,
            "candidates": "all" if self.setting is Setting.PRED_ALL else rule,
            "objects": {Setting.ORACLE_OBJ: "given", Setting.PRED_ALL: "none"}.get(self.setting, str(self.objects)),
            "batch_size": self.batch_size,
            "dtype": str(self.model.dtype),
            "sliding_window": self.sliding_window,
            "tta": tta,
            "crf": self.test_time.crf,
        }


def _with_sliding_window(processor: PartSegmentationProcessor) -> PartSegmentationProcessor:
    if not hasattr(processor.image_processor, "sliding_window"):
        kind = type(processor.image_processor).__name__
        raise ConfigurationError(
            f"Images of this model are prepared by {kind}, which has no sliding window; CATSeg's has."
        )
    processor = copy.copy(processor)
    processor.image_processor = copy.copy(processor.image_processor)
    processor.image_processor.sliding_window = True
    return processor
