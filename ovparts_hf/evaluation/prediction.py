"""Runs a model over records whose objects are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from ..data.part_dataset import PartDataset, PartSample
from ..data.records import Record
from ..inference.engine import NO_TTA, Asked, TestTimeAugmentation, predict_scores
from ..models.processing import PartSegmentationProcessor
from .questions import Question, Questions, joined


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one record.

    Attributes:
        record: What was asked.
        sample: Its image and labels.
        label_map: (H, W) int64 part ids at the image's size. With the object given, every pixel has an answer, inside
            the object or not; it is -1 for an object without parts. Otherwise it is -1 where "none" is best, or
            outside of the object that was found.
    """

    record: Record
    sample: PartSample
    label_map: np.ndarray


class ObjectSource(Protocol):
    """Finds the objects of an image."""

    def find(self, sample: PartSample) -> np.ndarray:
        """The objects of one image.

        Args:
            sample: The image; its labels must not be looked at.

        Returns:
            (H, W) int64 object ids of the taxonomy, -1 where nothing was found.
        """


def predict_records(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    records: Sequence[Record],
    batch_size: int = 8,
    workers: int = 0,
    progress: bool = False,
    *,
    words: dict[str, torch.Tensor] | None = None,
    by_substring: bool = False,
    objects: ObjectSource | None = None,
    test_time: TestTimeAugmentation = NO_TTA,
) -> Iterator[Prediction]:
    """Answers records whose object is given: the best of its object's parts at every pixel.

    Args:
        model: In any mode; it is put into evaluation mode.
        processor: The model's processor.
        dataset: Where the records come from.
        records: Adjacent records of one image share a forward pass.
        batch_size: Images in a forward pass, where the model can take several.
        workers: Processes that read images.
        progress: Whether to show a bar.
        words: All part classes, as `model.encode_vocabulary` gives them; None encodes them now.
        by_substring: Whether every part whose class contains the object's name may be answered, not only its own.
        objects: Finds the objects that the model is told; it then answers only inside those of the record's class.
            None: those of the dataset. With it, images are read in this process.
        test_time: Options at test time.

    Yields:
        One prediction for each record, in their order.
    """
    model.eval()
    taxonomy, with_masks = dataset.taxonomy, model.requires_object_masks
    parts_of = taxonomy.parts_named_after if by_substring else taxonomy.parts_of
    words = model.encode_vocabulary(processor, taxonomy.part_classes, progress) if words is None else words

    mask_outside = taxonomy.ignore_index if with_masks else None
    questions = Questions(records, partial(_read, dataset, objects), processor, test_time, mask_outside)
    for group in questions.batches(batch_size, workers if objects is None else 0, with_masks, progress):
        for prediction in _answer(model, processor, words, parts_of, test_time, group):
            yield prediction if objects is None else _only_inside(prediction, taxonomy.ignore_index)


def _read(dataset: PartDataset, objects: ObjectSource | None, group: list[Record]) -> list[tuple[Record, PartSample]]:
    asked = [(record, dataset.read(record)) for record in group]
    if objects is not None:
        found = objects.find(asked[0][1])
        for record, sample in asked:
            sample.object_map = np.where(found == record.object_id, found, dataset.taxonomy.ignore_index)
    return asked


def _only_inside(prediction: Prediction, ignore_index: int) -> Prediction:
    inside = prediction.sample.object_map != ignore_index
    return replace(prediction, label_map=np.where(inside, prediction.label_map, -1))


def _answer(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    words: dict[str, torch.Tensor],
    parts_of: Callable[[int], Sequence[int]],
    test_time: TestTimeAugmentation,
    group: list[Question],
) -> list[Prediction]:
    """Answers a group of images; each row of the model's output is one image, or one object of the only image."""
    asked = [pair for question in group for pair in question.asked]
    row_of = range(len(asked))
    if not model.requires_object_masks:
        row_of = [row for row, question in enumerate(group) for _ in question.asked]
    candidates = [parts_of(record.object_id) for record, _ in asked]
    num_classes = len(next(iter(words.values())))
    classes = range(num_classes) if model.classes_interact else sorted(set().union(*candidates))
    position = {part: i for i, part in enumerate(classes)}
    class_mask = torch.zeros(max(row_of) + 1, len(classes), dtype=torch.bool, device=model.device)
    wanted = []
    for row, parts, (_, sample) in zip(row_of, candidates, asked):
        wanted.append(Asked(row, [position[part] for part in parts], sample.part_map.shape))
        class_mask[row, wanted[-1].classes] = True
    chosen = words if model.classes_interact else {name: rows[list(classes)] for name, rows in words.items()}
    scores = predict_scores(model, processor, joined(group), chosen, wanted, class_mask)
    return [
        Prediction(record, sample, best_class(test_time.refine(maps, sample.image), parts))
        for (record, sample), parts, maps in zip(asked, candidates, scores)
    ]


def best_class(scores: torch.Tensor, ids: Sequence[int]) -> np.ndarray:
    """The class that scores best at each pixel; of equal ones the first.

    Args:
        scores: (n, H, W).
        ids: The n classes.

    Returns:
        (H, W) int64; -1 everywhere if there is no class.
    """
    if not len(ids):
        return np.full(scores.shape[-2:], -1)
    return np.array(ids)[scores.argmax(0).cpu().numpy()]
