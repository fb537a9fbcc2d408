"""The base of the dataset builders that read a release: from its archive or folder to rows."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.files import atomic_folder, resolve_path
from ..rows import instance_features, semantic_features
from .archives import fingerprint, unpack
from .release import Listing, Release, ReleaseLayout
from .repository import RowSource

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

_SAMPLE = 100  # images whose parts are compared with their objects before the others are read
_TOLERATED = 0.05  # share of them, since no annotation is without mistakes; `check` lists every one


class ReleaseBuilder:
    """Base of the builders of released datasets; a subclass states the facts.

    `data_dir` is the release archive (.tar.gz), the folder it extracts to, or the folder that holds that one.
    """

    LAYOUT: ClassVar[ReleaseLayout]
    TAXONOMY: ClassVar[PartTaxonomy]
    CARD: ClassVar[Path]

    def __init__(self, data_dir: str | Path) -> None:
        self.source = resolve_path(data_dir, DatasetError)
        if not self.source.exists():
            raise DatasetError(f"{self.source} does not exist. Give the release archive or its extracted folder.")
        if self.source.is_dir():
            self.LAYOUT.find_root(self.source)

    def features(self) -> datasets.Features:
        """Columns of the rows."""
        return instance_features(self.TAXONOMY) if self.LAYOUT.object_maps is None else semantic_features(self.TAXONOMY)

    def fingerprint(self) -> str:
        """Identifies the content of the source."""
        if self.source.is_file():
            return fingerprint(self.source)
        return fingerprint(self.LAYOUT.find_root(self.source), self.LAYOUT.entries)

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Lists the rows; an archive is unpacked into `scratch`, unless that was done before."""
        root = self.LAYOUT.find_root(unpacked(self.source, scratch, progress))
        release = Release(self.LAYOUT, self.TAXONOMY, root)
        listing = release.list_images()
        if listing.problems:
            count = len(listing.problems) - 1
            others = f" (and {count} more problems; `ovparts check` lists them)" if count else ""
            raise DatasetError(listing.problems[0] + others)
        _refuse_contradictions(release, listing)
        shortfall = self.LAYOUT.shortfall({split: len(images) for split, images in listing.images.items()})
        for note in (*listing.notes, *[shortfall] * bool(shortfall)):
            logger.warning(note)
        train = listing.images.pop("train")
        groups = {
            "train-few_shot": [image for image in train if image.image_id in listing.few_shot_ids],
            "train-rest": [image for image in train if image.image_id not in listing.few_shot_ids],
        }
        return RowSource(groups | listing.images, release.row)


def _refuse_contradictions(release: Release, listing: Listing) -> None:
    """Looks at images spread over the release before all are read: ids that mean other classes do so in most."""
    images = [image for images in listing.images.values() for image in images]
    images = images[:: -(-len(images) // _SAMPLE)]
    faults = [release.contradiction(image, release.row(image)) for image in images]
    faults = [fault for fault in faults if fault]
    if len(faults) > _TOLERATED * len(images):
        raise DatasetError(f"{faults[0]} (So are {len(faults)} of {len(images)} images that were compared.)")


def unpacked(source: Path, folder: Path, progress: bool = False) -> Path:
    """The folder to read from: `source` itself, or for an archive `folder`, which appears once all is unpacked."""
    if source.is_dir():
        return source
    if not folder.exists():
        with atomic_folder(folder) as partial:
            unpack(source, partial, progress)
    return folder
