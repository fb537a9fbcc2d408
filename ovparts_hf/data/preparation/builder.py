"""The common part of the builders: from a release archive or folder to rows."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import datasets

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ..rows import instance_features, semantic_features
from .archives import fingerprint, unpack
from .layout import ReleaseLayout
from .listing import ListedImage, list_few_shot, list_split
from .release import Release
from .shards import RowSource

logger = logging.getLogger(__name__)


class ReleaseBuilder(datasets.GeneratorBasedBuilder):
    """Base of the builders of released datasets; a subclass states the facts.

    Args:
        data_dir: The release archive (.tar.gz), the folder it extracts to, or the folder that holds that one.
        **options: As for every builder of `datasets`, e.g. `config_name`, `cache_dir`.

    Raises:
        DatasetError: `data_dir` is missing, does not exist or is not this dataset.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar[list[datasets.BuilderConfig]] = [
        datasets.BuilderConfig("default", description="All training images."),
        datasets.BuilderConfig("few_shot_16", description="The training images of the 16-shot list."),
    ]
    DEFAULT_CONFIG_NAME = "default"

    LAYOUT: ClassVar[ReleaseLayout]
    TAXONOMY: ClassVar[PartTaxonomy]
    CARD: ClassVar[Path]

    def __init__(self, *, data_dir: str | Path | None = None, **options: Any) -> None:
        if data_dir is None:
            raise DatasetError(f"Say where the release is: {type(self).__name__}(data_dir=<archive or folder>).")
        self.source = Path(data_dir).expanduser().resolve()
        # Part of the cache folder's name, so that changed data is prepared anew.
        options.setdefault("hash", self.fingerprint()[:16])
        super().__init__(data_dir=str(self.source), **options)

    @classmethod
    def features(cls) -> datasets.Features:
        """Columns of the rows."""
        return instance_features(cls.TAXONOMY) if cls.LAYOUT.object_maps is None else semantic_features(cls.TAXONOMY)

    def fingerprint(self) -> str:
        """Identifies the content of the source."""
        if not self.source.exists():
            raise DatasetError(f"{self.source} does not exist. Give the release archive or its extracted folder.")
        if self.source.is_file():
            return fingerprint(self.source)
        return fingerprint(self.LAYOUT.find_root(self.source), self.LAYOUT.entries)

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Lists the rows.

        Args:
            scratch: Folder into which an archive is unpacked, unless that was done before.
            progress: Whether to show a bar.

        Raises:
            DatasetError: The archive cannot be unpacked, or files are missing or contradict each other.
        """
        layout = self.LAYOUT
        release = Release(layout, self.TAXONOMY, layout.find_root(unpacked(self.source, scratch, progress)))
        splits = {split: list_split(layout, release.root, split) for split in layout.split_folders}
        few_shot = list_few_shot(layout, release.root, splits["train"])
        listings = (*splits.values(), few_shot)
        problems = [problem for listing in listings for problem in listing.problems]
        if problems:
            others = f" (and {len(problems) - 1} more problems; `ovparts check` lists them)" if problems[1:] else ""
            raise DatasetError(problems[0] + others)
        for note in (note for listing in listings for note in listing.notes):
            logger.warning(note)
        train = splits.pop("train").images
        groups = {
            "train-few_shot": [image for image in train if image.image_id in few_shot.image_ids],
            "train-rest": [image for image in train if image.image_id not in few_shot.image_ids],
        }
        return RowSource(groups | {split: listing.images for split, listing in splits.items()}, release.row)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description=self.__doc__ or "", features=self.features())

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        scratch = Path(tempfile.mkdtemp(prefix="unpacked-", dir=self._cache_dir_root))
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        groups, row = self.open(scratch / "source")
        few_shot, rest = groups.pop("train-few_shot"), groups.pop("train-rest")
        splits = {"train": few_shot if self.config.name == "few_shot_16" else [*few_shot, *rest], **groups}
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"images": images, "row": row})
            for split, images in splits.items()
        ]

    def _generate_examples(
        self, images: list[ListedImage], row: Callable[[ListedImage], dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for image in images:
            yield image.image_id, row(image)


def unpacked(source: Path, folder: Path, progress: bool = False) -> Path:
    """The folder to read from: `source` itself, or for an archive `folder`, which appears when all is unpacked."""
    if source.is_dir():
        return source
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        unpack(source, partial, progress)
        partial.rename(folder)
    return folder
