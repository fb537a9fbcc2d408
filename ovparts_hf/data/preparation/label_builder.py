"""The base of the dataset builders that read label files; its facts are a layout and a vocabulary."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.files import resolve_path
from ..custom.classes import class_ids
from ..custom.examination import Painter
from ..formats.base import LabelledImage, Labels
from ..problems import left_out
from ..rows import instance_features
from .archives import content_hint, fingerprint
from .repository import RowSource

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

_SAMPLE = 100  # images that are read before the others, so that most faults show at once


class LabelLayout(Protocol):
    """Where the files of a dataset are, and what its labels mean."""

    folder_names: Sequence[str]  # spellings of the name of its top folder
    entries: Sequence[str]  # files and folders of the top folder, of which it has some

    def read(self, root: Path) -> Labels:
        """Lists the images of the top folder, those of "train" and of "validation"."""


class LabelFilesBuilder:
    """Base of the builders of datasets with label files; a subclass states the facts.

    `data_dir` is the unpacked folder of the dataset, or the folder that holds that one.
    """

    LAYOUT: ClassVar[LabelLayout]
    TAXONOMY: ClassVar[PartTaxonomy]
    CARD: ClassVar[Path]

    def __init__(self, data_dir: str | Path) -> None:
        self.root = _find_root(resolve_path(data_dir, DatasetError), self.LAYOUT)

    def features(self) -> datasets.Features:
        """Columns of the rows."""
        return instance_features(self.TAXONOMY)

    def fingerprint(self) -> str:
        """Identifies the content of the source."""
        return fingerprint(self.root)

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Lists the rows; images without a label are left out."""
        labels = self.LAYOUT.read(self.root)
        images = [image for image in labels.images if image.annotations]
        used = {annotation.class_name for image in images for annotation in image.annotations}
        ids = class_ids(sorted(used, key=str), self.TAXONOMY, labels.problems)
        painter = Painter(self.TAXONOMY, ids)
        if not labels.problems:
            for image in images[:: -(-len(images) // _SAMPLE) or 1]:
                labels.problems.extend(painter.examine(image).problems)
        labels.problems.refuse(str(self.root))
        groups = {split: [image for image in images if image.split == split] for split in ("train", "validation")}
        _refuse_empty(groups, self.root)
        unlabelled = Counter({("image", "without a label"): len(labels.images) - len(images)})
        for note in (*labels.notes, *left_out(unlabelled)):
            logger.warning(note)
        return RowSource(groups, painter.row)


def _find_root(folder: Path, layout: LabelLayout) -> Path:
    """The top folder of a dataset: `folder` itself, or one of its known names inside it."""
    if not folder.is_dir():
        found = "is a file; unpack it and give its folder" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder} {found}.")
    for root in (folder, *(folder / name for name in layout.folder_names)):
        if any((root / entry).exists() for entry in layout.entries):
            return root
    raise DatasetError(f"{folder} holds none of {', '.join(layout.entries)}.{content_hint(folder)}")


def _refuse_empty(groups: dict[str, list[LabelledImage]], root: Path) -> None:
    empty = [split for split, images in groups.items() if not images]
    if empty:
        raise DatasetError(f"{root} has no labelled image for {' and '.join(empty)}.")
