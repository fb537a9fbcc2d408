"""Runs a model over records whose objects are given."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import PreTrainedModel

from .data.part_dataset import PartDataset, PartSample
from .data.records import Record
from .processing import PartSegmentationProcessor
from .vocabulary import encode_words


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one record.

    Attributes:
        record: What was asked.
        sample: Its picture and labels.
        label_map: (H, W) int64 part ids at the picture's size. Every pixel has an answer, inside the object or not; it
            is -1 for an object without parts.
    """

    record: Record
    sample: PartSample
    label_map: np.ndarray


@dataclass(frozen=True)
class _Question:
    """One picture and all that is asked about it.

    Attributes:
        asked: The records with their samples.
        inputs: The model's inputs, with a batch dimension: of one picture, and of its objects for `object_masks`.
    """

    asked: list[tuple[Record, PartSample]]
    inputs: dict[str, torch.Tensor]


def predict_records(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    records: Sequence[Record],
    batch_size: int = 8,
    workers: int = 0,
    progress: bool = False,
    *,
    by_substring: bool = False,
) -> Iterator[Prediction]:
    """Answers records whose object is given: the best of its object's parts at every pixel.

    Args:
        model: In any mode; it is put into evaluation mode.
        processor: The model's processor.
        dataset: Where the records come from.
        records: Adjacent records of one picture share a forward pass.
        batch_size: Pictures in a forward pass, where the model can take several.
        workers: Processes that read pictures.
        progress: Whether to show a bar.
        by_substring: Whether every part whose class contains the object's name may be answered, not only its own.

    Yields:
        One prediction for each record, in their order.
    """
    model.eval()
    parts_of = dataset.taxonomy.parts_named_after if by_substring else dataset.taxonomy.parts_of
    words = encode_words(model, processor, dataset.taxonomy.part_classes, progress)
    questions = _Questions(dataset, processor, records, model.takes_object_masks)
    loader = DataLoader(questions, batch_size=batch_size, num_workers=workers, collate_fn=list)
    with tqdm(total=len(questions), desc="Evaluating", unit="picture", disable=not progress) as bar:
        for batch in loader:
            for group in _groups(batch, model.takes_object_masks):
                yield from _answer(model, processor, words, parts_of, group)
            bar.update(len(batch))


class _Questions(Dataset):
    """The pictures of records, each with all its records."""

    def __init__(
        self,
        dataset: PartDataset,
        processor: PartSegmentationProcessor,
        records: Sequence[Record],
        with_object_masks: bool,
    ) -> None:
        self.dataset = dataset
        self.processor = processor
        self.groups = [list(group) for _, group in itertools.groupby(records, lambda r: (r.split, r.row))]
        self.with_object_masks = with_object_masks

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> _Question:
        asked = [(record, self.dataset.read(record)) for record in self.groups[index]]
        masks = {}
        if self.with_object_masks:
            ignore_index = self.dataset.taxonomy.ignore_index
            masks["object_masks"] = np.stack([sample.object_map != ignore_index for _, sample in asked])
        return _Question(asked, dict(self.processor(images=[asked[0][1].image], **masks)))


def _groups(batch: list[_Question], one_by_one: bool) -> list[list[_Question]]:
    """What can go through the model together: pictures of one size, if it does not need their objects."""
    sizes = {question.inputs["pixel_values"].shape for question in batch}
    return [[question] for question in batch] if one_by_one or len(sizes) > 1 else [batch]


@torch.no_grad()
def _answer(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    words: dict[str, torch.Tensor],
    parts_of: Callable[[int], Sequence[int]],
    group: list[_Question],
) -> list[Prediction]:
    """Answers a group of pictures; each row of the model's output is one picture, or one object of the only picture."""
    asked = [pair for question in group for pair in question.asked]
    row_of = range(len(asked))
    if not model.takes_object_masks:
        row_of = [row for row, question in enumerate(group) for _ in question.asked]
    candidates = [parts_of(record.object_id) for record, _ in asked]
    num_classes = len(next(iter(words.values())))
    classes = range(num_classes) if model.classes_interact else sorted(set().union(*candidates))
    position = {part: i for i, part in enumerate(classes)}
    class_mask = torch.zeros(max(row_of) + 1, len(classes), dtype=torch.bool, device=model.device)
    for row, parts in zip(row_of, candidates):
        class_mask[row, [position[part] for part in parts]] = True
    inputs = {
        name: torch.cat([question.inputs[name] for question in group]).to(model.device, model.dtype)
        for name in group[0].inputs
    }
    chosen = {name: rows[list(classes)] for name, rows in words.items()}
    logits = model(**inputs, **chosen, class_mask=class_mask, include_none=False).logits.float()

    ids, predictions = np.array(classes), []
    for row, parts, (record, sample) in zip(row_of, candidates, asked):
        size = sample.part_map.shape
        best = processor.label_map(logits[row], size, [position[part] for part in parts]).cpu().numpy()
        predictions.append(Prediction(record, sample, np.where(best < 0, -1, ids[best])))
    return predictions
