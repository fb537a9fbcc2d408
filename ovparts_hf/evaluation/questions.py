"""Images with everything that is asked about them, read and prepared for a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..data.part_dataset import PartSample
from ..data.records import Record
from ..inference.engine import TestTimeAugmentation, View
from ..models.processing import PartSegmentationProcessor

Reader = Callable[[list[Record]], list[tuple[Record, PartSample]]]
"""From the records of one image to what is asked about it."""


@dataclass(frozen=True)
class Question:
    """One image and all that is asked about it.

    Attributes:
        asked: Records with their samples, whose object maps are those that the model is told.
        views: The image as the model sees it, and the masks of `asked` if the model takes them.
    """

    asked: list[tuple[Record, PartSample]]
    views: list[View]


class Questions(Dataset):
    """The images of records, each with all its records.

    Args:
        records: Those of one image are adjacent.
        read: Reads the records of one image.
        processor: The model's processor.
        test_time: In which views an image is shown.
        mask_outside: The value outside of an object in its map, if the model takes masks of objects; or None.
    """

    def __init__(
        self,
        records: Sequence[Record],
        read: Reader,
        processor: PartSegmentationProcessor,
        test_time: TestTimeAugmentation,
        mask_outside: int | None,
    ) -> None:
        self.groups = [list(group) for _, group in itertools.groupby(records, lambda r: (r.split, r.row))]
        self.read = read
        self.processor = processor
        self.test_time = test_time
        self.mask_outside = mask_outside

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Question:
        asked = self.read(self.groups[index])
        masks = None
        if self.mask_outside is not None:
            masks = np.stack([sample.object_map != self.mask_outside for _, sample in asked])
        return Question(asked, self.test_time.views(self.processor, asked[0][1].image, masks))

    def batches(
        self, batch_size: int, workers: int, one_by_one: bool = False, progress: bool = False
    ) -> Iterator[list[Question]]:
        """Questions that can go through the model together: images of one size, and never with several views."""
        loader = DataLoader(self, batch_size=batch_size, num_workers=workers, collate_fn=list)
        with tqdm(total=len(self), desc="Evaluating", unit="image", disable=not progress) as bar:
            for batch in loader:
                yield from _groups(batch, one_by_one)
                bar.update(len(batch))


def joined(group: Sequence[Question]) -> list[View]:
    """The views of images that go through the model together."""
    if len(group) == 1:
        return group[0].views
    inputs = [question.views[0].inputs for question in group]
    return [View({name: torch.cat([each[name] for each in inputs]) for name in inputs[0]})]


def _groups(batch: list[Question], one_by_one: bool) -> list[list[Question]]:
    sizes = {view.inputs["pixel_values"].shape for question in batch for view in question.views}
    several = any(len(question.views) > 1 for question in batch)
    return [[question] for question in batch] if one_by_one or several or len(sizes) > 1 else [batch]
