"""A model with all options that its predictions depend on, run over records."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import PreTrainedModel

from ..data.part_dataset import PartDataset, PartSample
from ..data.records import Record, by_image
from ..errors import ConfigurationError
from ..inference.decoding import Decoding, check_decoding, decode_classes
from ..inference.engine import check_whole_images
from ..inference.refinement import MaskRefiner, sharpen
from ..inference.tta import NO_TTA, TestTimeAugmentation, View, mean_scores, takes_any_size
from ..metrics.flavours import FlavourName
from ..models.post_processing import best_class, best_position
from ..models.processing import PartSegmentationProcessor
from ..taxonomy.tasks import Setting, get_setting
from ..utils.arguments import check_not_negative, check_positive
from ..utils.crops import Box
from ..utils.files import public_name
from .objects import ObjectSource

Compat = Literal["ov_parts"]


@dataclass(frozen=True)
class Prediction:
    """The label map of one record: (H, W) int64 part ids at the image's size.

    With the object given, every pixel has a part, inside the object or not; it is -1 for an object without parts.
    Otherwise it is -1 where "none" is best, or outside of the object that was found. It is also -1 outside of the crop
    of the object, if the model looks for parts there (`object_crop_margin`).
    """

    record: Record  # for `pred_all` an image
    sample: PartSample
    label_map: np.ndarray
    part_scores: dict[int, float] | None = None  # of the parts inside the object, see `Predictor.predict`


@dataclass
class Predictor:
    """Predicts the records of a dataset as a setting wants it, with options as in `evaluate_model`.

    Class names are encoded once, when first needed. With `objects`, the process itself reads the images.
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
    refiner: MaskRefiner | None = None
    decode: Decoding = "argmax"
    _class_inputs: dict[str, torch.Tensor] | None = field(default=None, init=False, repr=False)
    _object_inputs: dict[str, torch.Tensor] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(batch_size=self.batch_size)
        check_not_negative(workers=self.workers)
        if self.compat not in ("ov_parts", None):
            raise ConfigurationError(f"compat is {self.compat!r}; choose 'ov_parts' or None.")
        check_decoding(self.decode)
        self.setting = get_setting(self.setting)
        if (self.setting is Setting.PRED_OBJ) != (self.objects is not None):
            given = "none were given" if self.objects is None else "some were given"
            raise ConfigurationError(
                f"Setting 'pred_obj' needs a source of objects and no other setting does; with {self.setting.value!r} "
                f"{given}. See ovparts_hf.evaluation.objects, or `ovparts evaluate --objects`."
            )
        if self.setting is Setting.PRED_ALL:
            check_whole_images(self.model)
        if self.sliding_window:
            self.processor = _with_sliding_window(self.processor)

    @property
    def by_substring(self) -> bool:
        """Whether candidates are chosen by substring, as in the original."""
        return self.compat == "ov_parts" and self.model.substring_candidates and self.setting is not Setting.PRED_ALL

    @property
    def _scores_none(self) -> bool:
        return self.setting is Setting.PRED_ALL and self.model.scores_none

    @property
    def _crop_margin(self) -> float | None:
        return None if self.setting is Setting.PRED_ALL else self.model.object_crop_margin

    @property
    def _fills_objects(self) -> bool:
        """Whether the model finds objects in the same pass, each pixel of which then has one of their parts."""
        return self.setting is Setting.PRED_ALL and self.model.fills_objects

    @property
    def _found_objects(self) -> list[str]:
        """The objects with parts, in the order of their ids; as classes they follow the parts."""
        taxonomy = self.dataset.taxonomy
        return [taxonomy.object_classes[i] for i in sorted(set(taxonomy.part_object_ids))]

    def predict(
        self, records: Sequence[Record], progress: bool = False, part_scores: bool = False
    ) -> Iterator[Prediction]:
        """Yields the prediction of each record, or with `pred_all` of each image; records of one image are adjacent.

        `part_scores`: with the mean of the best score over the pixels of each part.
        """
        if self._class_inputs is None:
            taxonomy = self.dataset.taxonomy
            names = (*taxonomy.part_classes, *(self._found_objects if self._fills_objects else ()))
            self._class_inputs = self.model.encode_vocabulary(self.processor, names, progress)
            if self.setting is Setting.PRED_ALL and self.metrics == "partclipseg" and not self._fills_objects:
                self._object_inputs = self.model.encode_vocabulary(self.processor, taxonomy.object_classes)
        groups = by_image(records) if self._crop_margin is None else [[record] for record in records]
        return self._predictions(groups, progress, part_scores)

    def describe(self) -> dict[str, Any]:
        """What `BenchmarkResult.config` says of the options."""
        rule = "substring" if self.by_substring else "id"
        views = "scales and flip" if takes_any_size(self.processor) else "flip"
        return {
            "compat": self.compat,
            "candidates": "all" if self.setting is Setting.PRED_ALL else rule,
            "objects": {Setting.ORACLE_OBJ: "given", Setting.PRED_ALL: "none"}.get(
                self.setting, public_name(str(self.objects))
            ),
            "batch_size": self.batch_size,
            "dtype": str(self.model.dtype),
            "sliding_window": self.sliding_window,
            "tta": views if self.test_time.tta else "off",
            "crf": self.test_time.crf,
            **self._describe_additions(),
        }

    def _describe_additions(self) -> dict[str, Any]:
        """What only some models or runs have: their results alone say it."""
        facts = self.model.describe()
        additions = {
            "prompt": getattr(self.processor, "prompt", None),
            "refiner": self.refiner and public_name(str(self.refiner)),
            "decode": None if self.decode == "argmax" else self.decode,
        }
        return {**facts, **{name: value for name, value in additions.items() if value is not None}}

    def _predictions(self, groups: list[list[Record]], progress: bool, part_scores: bool) -> Iterator[Prediction]:
        self.model.eval()
        with_masks = self.model.requires_object_masks
        images = _PreparedImages(
            groups,
            self.dataset,
            self.processor,
            self.setting,
            self.objects,
            self.test_time,
            with_masks,
            self._crop_margin,
        )
        unit = "image" if self._crop_margin is None else "object"
        one_by_one = self.setting is Setting.PRED_ALL or self.test_time.tta or with_masks
        workers = self.workers if self.objects is None else 0
        loader = DataLoader(images, 1 if one_by_one else self.batch_size, num_workers=workers, collate_fn=list)
        with tqdm(total=len(images), desc="Evaluating", unit=unit, disable=not progress) as bar:
            for batch in loader:
                yield from self._predict(batch, part_scores)
                bar.update(len(batch))

    def _predict(self, batch: list[_PreparedImage], part_scores: bool) -> Iterator[Prediction]:
        candidates = [[self._candidates(record) for record, _ in image.samples] for image in batch]
        scored = candidates
        if self._fills_objects:
            scored = [[range(len(self._class_inputs["class_features"]))] for _ in batch]
        scores = self._scores(batch, self._class_inputs, scored)
        for image, lists, maps_of_image in zip(batch, candidates, scores):
            for (record, sample), ids, maps in zip(image.samples, lists, maps_of_image):
                if self._fills_objects:
                    maps = self._inside_found_objects(maps)
                elif self._object_inputs is not None:
                    maps = self._only_of_best_object(maps, image)
                if self._scores_none:
                    ids = (*ids, -1)
                shown = sample if image.box is None else sample.crop(image.box)
                refined = self.test_time.refine(maps, shown.image)
                label_map = decode_classes(refined, ids, self.decode, self._region(shown)).cpu().numpy()
                best = maps.amax(0).cpu().numpy() if len(maps) and (part_scores or self.refiner is not None) else None
                if image.box is not None:
                    label_map = image.box.paste(label_map, sample.part_map.shape, -1)
                    best = None if best is None else image.box.paste(best, sample.part_map.shape, 0)
                if self.refiner is not None:
                    label_map = self._refine(label_map, best, ids, sample)
                if self.objects is not None:
                    label_map = np.where(sample.object_map != self.dataset.taxonomy.ignore_index, label_map, -1)
                means = self._part_scores(label_map, best, sample) if part_scores else None
                yield Prediction(record, sample, label_map, means)

    def _refine(
        self, label_map: np.ndarray, best: np.ndarray | None, ids: Sequence[int], sample: PartSample
    ) -> np.ndarray:
        """Sharpens the parts inside the object, or with `pred_all` everywhere."""
        inside = self._region(sample)
        if inside is None:
            inside = np.ones(label_map.shape, dtype=bool)
        label_map, means = np.where(inside, label_map, -1), self._part_scores(label_map, best, sample)
        return sharpen(sample.image, label_map, means, self.refiner, not self._scores_none, dict.fromkeys(ids, inside))

    def _region(self, sample: PartSample) -> np.ndarray | None:
        """(H, W) bool, the object that a record is about; None for the whole image."""
        if self.setting is Setting.PRED_ALL:
            return None
        return sample.object_map != self.dataset.taxonomy.ignore_index

    def _part_scores(self, label_map: np.ndarray, best: np.ndarray | None, sample: PartSample) -> dict[int, float]:
        """The mean of the `best` score (H, W) over the pixels of each part, inside the object of a record."""
        inside = self._region(sample)
        label_map = label_map if inside is None else np.where(inside, label_map, -1)
        return {i: float(best[label_map == i].mean()) for i in np.unique(label_map).tolist() if i >= 0}

    def _candidates(self, record: Record) -> Sequence[int]:
        taxonomy = self.dataset.taxonomy
        if record.object_id is None:
            return range(len(taxonomy.part_classes))
        return (taxonomy.parts_named_after if self.by_substring else taxonomy.parts_of)(record.object_id)

    def _scores(
        self, batch: list[_PreparedImage], class_inputs: dict[str, torch.Tensor], candidates: list[list[Sequence[int]]]
    ) -> list[list[torch.Tensor]]:
        if not self.model.classes_interact:  # then the others need not be looked at
            classes = sorted({i for lists in candidates for ids in lists for i in ids})
            class_inputs = {name: features[classes] for name, features in class_inputs.items()}
            candidates = [[np.searchsorted(classes, ids).tolist() for ids in lists] for lists in candidates]
        views = [image.views for image in batch]
        sizes = [image.samples[0][1].part_map.shape if image.box is None else image.box.size for image in batch]
        return mean_scores(self.model, self.processor, class_inputs, views, candidates, sizes, self._scores_none)

    def _inside_found_objects(self, scores: torch.Tensor) -> torch.Tensor:
        """(parts + objects + 1, H, W) -> (parts + 1, H, W): 0 but where a part's own object, or "none", is best."""
        count, ids = len(self.dataset.taxonomy.part_classes), self.dataset.taxonomy.part_object_ids
        owners = torch.tensor([*ids, -1], device=scores.device)
        found = best_class(scores[count:], [*sorted(set(ids)), -1])
        return torch.cat([scores[:count], scores[-1:]]) * (found == owners[:, None, None])

    def _only_of_best_object(self, scores: torch.Tensor, image: _PreparedImage) -> torch.Tensor:
        """(parts, H, W): 0 where another object than the part's own is best; "none", the last, as it is."""
        taxonomy = self.dataset.taxonomy
        count = len(taxonomy.object_classes)
        [[objects]] = self._scores([image], self._object_inputs, [[range(count)]])
        object_of = torch.tensor(taxonomy.part_object_ids, device=scores.device)
        scores[: len(object_of)] *= best_position(objects[:count]) == object_of[:, None, None]
        return scores


class _PreparedImage(NamedTuple):
    """The records of one image, or one of them, with their labels, and the image as the model takes it."""

    samples: list[tuple[Record, PartSample]]
    views: list[View]
    box: Box | None = None  # what the views show of the image; None for all


@dataclass
class _PreparedImages(Dataset):
    """Reads and prepares images; has no model, so that workers need none."""

    groups: list[list[Record]]
    dataset: PartDataset
    processor: PartSegmentationProcessor
    setting: Setting
    objects: ObjectSource | None
    test_time: TestTimeAugmentation
    with_masks: bool
    crop_margin: float | None  # with one record in each of `groups`
    _last_found: tuple[tuple[str, int], np.ndarray] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> _PreparedImage:
        samples = self._read(self.groups[index])
        if self.crop_margin is not None:
            sample = samples[0][1]
            box = Box.around(sample.object_map != self.dataset.taxonomy.ignore_index, self.crop_margin)
            return _PreparedImage(samples, self.test_time.views(self.processor, sample.image.crop(box)), box)
        masks = None
        if self.with_masks:
            masks = np.stack([sample.object_map != self.dataset.taxonomy.ignore_index for _, sample in samples])
        return _PreparedImage(samples, self.test_time.views(self.processor, samples[0][1].image, masks))

    def _read(self, records: list[Record]) -> list[tuple[Record, PartSample]]:
        if self.setting is Setting.PRED_ALL:
            return [(Record(records[0].split, records[0].row), self.dataset.read_objects(records))]
        samples = [(record, self.dataset.read(record)) for record in records]
        if self.objects is not None:
            found = self._find(records[0], samples[0][1])
            for record, sample in samples:
                inside = found == record.object_id
                sample.object_map = np.where(inside, found, self.dataset.taxonomy.ignore_index)
        return samples

    def _find(self, record: Record, sample: PartSample) -> np.ndarray:
        """The objects of an image, which are kept for its next record."""
        image = record.split, record.row
        if self._last_found is None or self._last_found[0] != image:
            self._last_found = image, self.objects.find(sample)
        return self._last_found[1]


def _with_sliding_window(processor: PartSegmentationProcessor) -> PartSegmentationProcessor:
    if not processor.image_processor.has_sliding_window:
        kind = type(processor.image_processor).__name__
        raise ConfigurationError(
            f"Images of this model are prepared by {kind}, which has no sliding window; CATSeg's has."
        )
    processor = copy.copy(processor)
    processor.image_processor = copy.copy(processor.image_processor)
    processor.image_processor.sliding_window = True
    return processor
