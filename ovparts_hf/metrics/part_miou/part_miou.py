"""Part mIoU as an `evaluate` module over `ovparts_hf.PartSegmentationMetric`.

Of an image only the pairs of ids that occur in it are kept, with their numbers of pixels: a few hundred bytes in the
module's Arrow file, whatever the size of the image.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.metrics.confusion import as_map
from ovparts_hf.taxonomy import TAXONOMIES

_OPTIONS = ("class_names", "seen_ids", "ignore_index", "metrics", "pred_all")
_LARGEST_ID = 65535  # as 16-bit label maps hold it; the ids of a pair share an integer

_DESCRIPTION = """\
Mean intersection over union of object parts ("dog's ear"), over seen and unseen classes and their harmonic mean, as the
OV-PARTS benchmark defines it, its successors PartCLIPSeg and PartCATSeg, or strictly.
"""
_CITATION = """\
@inproceedings{wei2023ov,
  title={OV-PARTS: Towards Open-Vocabulary Part Segmentation},
  author={Wei, Meng and Yue, Xiaoyu and Zhang, Wenwei and Kong, Shu and Liu, Xihui and Pang, Jiangmiao},
  booktitle={Thirty-seventh Conference on Neural Information Processing Systems Datasets and Benchmarks Track},
  year={2023}
}
"""
_INPUTS = """
Args:
    predictions: List of label maps (height, width): class ids, -1 or `ignore_index` where there is no answer, and with
        `pred_all` also the number of classes, for the background. PIL, numpy or torch, of any sizes.
    references: List of label maps of the same sizes: class ids, `ignore_index` where unlabelled.
    object_masks: Optional list of masks of the same sizes, nonzero inside the object that the pair is about.
    class_names, seen_ids, ignore_index, metrics, pred_all: As for `ovparts_hf.PartSegmentationMetric`; here or given to
        `evaluate.load`. The configurations "pascal-part-116", "ade20k-part-234", "partimagenet",
        "partimagenet-ood", "paco-lvis" and "toy-world" know the first three.
        Otherwise `class_names` is needed; by default every class counts as seen and `ignore_index` is 255, or 65535 for
        more than 255 classes.
Returns:
    What `ovparts_hf.PartSegmentationMetric.compute` returns: a dict with "mIoU", "mIoU_seen", "mIoU_unseen", "hIoU",
    "IoU" and more, in percent.
Examples:
    >>> metric = evaluate.load("ovparts_hf/metrics/part_miou", class_names=["dog's head", "dog's ear"], seen_ids=[0])
    >>> metric.compute(predictions=[[[0, 1, 1]]], references=[[[0, 0, 1]]])["hIoU"]
    50.0
"""


class PartMiou(evaluate.Metric):
    """See `_INPUTS`, which `evaluate` shows as the documentation of `compute` and `add_batch`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._options = {key: kwargs.pop(key) for key in _OPTIONS if key in kwargs}
        super().__init__(*args, **kwargs)
        if self.config_name != "default" and self.config_name not in TAXONOMIES:
            raise ConfigurationError(
                f"Unknown configuration {self.config_name!r}; choose one of {list(TAXONOMIES)}, or none and give "
                "class_names."
            )
        if self._knows_vocabulary:
            self._metric()  # refuses bad options before anything is counted

    def _info(self) -> evaluate.MetricInfo:
        packed = datasets.Value("binary")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            # What is stored, not what is given: the pairs that occur in an image, and how many pixels each has.
            features=datasets.Features({"predictions": packed, "references": packed}),
            reference_urls=["https://github.com/OpenRobotLab/OV_PARTS"],
        )

    def add(self, *, prediction: Any = None, reference: Any = None, object_mask: Any = None) -> None:
        """Counts one image."""
        masks = None if object_mask is None else [object_mask]
        self.add_batch(predictions=[prediction], references=[reference], object_masks=masks)

    def add_batch(self, *, predictions: Sequence[Any], references: Sequence[Any], object_masks: Any = None) -> None:
        """Counts images; none of them if one is refused."""
        masks = [None] * len(predictions) if object_masks is None else object_masks
        if not len(predictions) == len(references) == len(masks) or not len(predictions):
            raise ConfigurationError(
                f"{len(predictions)} predictions, {len(references)} references and {len(masks)} object masks were "
                "given; give as many of each, and at least one."
            )
        pairs, pixels = zip(*(self._packed(*maps) for maps in zip(predictions, references, masks)))
        super().add_batch(predictions=list(pairs), references=list(pixels))

    def compute(
        self, *, predictions: Any = None, references: Any = None, object_masks: Any = None, **options: Any
    ) -> dict[str, Any] | None:
        """Counts the images given, and computes the numbers of these and all added before."""
        self._metric(**options)  # refuses bad options before anything is counted
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references, object_masks=object_masks)
        return super().compute(**options)

    def _compute(self, predictions: Sequence[bytes], references: Sequence[bytes], **options: Any) -> dict[str, Any]:
        metric = self._metric(**options)
        for pairs, pixels in zip(predictions, references):
            _update(metric, np.cumsum(_unpack(pairs)), _unpack(pixels))
        return metric.compute()

    def _packed(self, *maps: Any) -> tuple[bytes, bytes]:
        """An image as it is stored, after its ids were checked if the vocabulary is known."""
        pairs, pixels = _count(*maps)
        if self._knows_vocabulary:
            _update(self._metric(), pairs, pixels)
        return _pack(np.diff(pairs, prepend=0)), _pack(pixels)

    @property
    def _knows_vocabulary(self) -> bool:
        return self.config_name in TAXONOMIES or "class_names" in self._options

    def _metric(self, **options: Any) -> PartSegmentationMetric:
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(f"Unknown options {unknown}; allowed are {list(_OPTIONS)}.")
        options = {**self._options, **options}
        taxonomy = TAXONOMIES.get(self.config_name)
        if taxonomy is not None:
            names, seen, ignore = taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index
        elif "class_names" in options:
            names = options["class_names"]
            seen, ignore = range(len(names)), 255 if len(names) <= 255 else _LARGEST_ID
        else:
            raise ConfigurationError(
                f"The vocabulary is not known: load the configuration {' or '.join(map(repr, TAXONOMIES))}, or give "
                "class_names to evaluate.load or compute."
            )
        return PartSegmentationMetric(**{"class_names": names, "seen_ids": seen, "ignore_index": ignore, **options})


def _count(prediction: Any, reference: Any, object_mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of ids that occur in an image, one integer each, and their numbers of pixels."""
    prediction, reference = as_map("prediction", prediction), as_map("reference", reference)
    outside = np.zeros((1, 1), dtype=bool)
    if object_mask is not None:
        outside = ~as_map("object mask", object_mask, integer=False)
    if prediction.shape != reference.shape or (object_mask is not None and outside.shape != reference.shape):
        raise ConfigurationError(
            f"The prediction has shape {prediction.shape}, its reference {reference.shape}"
            f"{'' if object_mask is None else f' and its object mask {outside.shape}'}; they must be equal. Resize the "
            "prediction's scores to the image before taking the argmax."
        )
    for name, label_map, lowest in (("prediction", prediction, -1), ("reference", reference, 0)):
        low, high = int(label_map.min()), int(label_map.max())
        if low < lowest or high > _LARGEST_ID:
            raise ConfigurationError(
                f"The {name} holds ids from {low} to {high}; allowed are class ids, the ignore index"
                f"{' and -1 for no answer' if lowest else ''}, from {lowest} to {_LARGEST_ID}."
            )
    pairs = ((prediction.astype(np.int64) + 1) << 17) + (reference.astype(np.int64) << 1) + outside
    return np.unique(pairs, return_counts=True)


def _pack(numbers: np.ndarray) -> bytes:
    return zlib.compress(numbers.astype(np.int64).tobytes(), level=1)


def _unpack(packed: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed), dtype=np.int64)


def _update(metric: PartSegmentationMetric, pairs: np.ndarray, pixels: np.ndarray) -> None:
    prediction, reference, outside = (pairs >> 17) - 1, (pairs >> 1) & _LARGEST_ID, pairs & 1
    metric.update(prediction[None], reference[None], 1 - outside[None], pixels[None])
