"""Datasets of the library `datasets`: saved to disk, in Parquet files, or on the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub import snapshot_download
from tqdm.auto import tqdm

from ...errors import DatasetError, HubError
from ...utils.files import brief, first_line
from ...utils.hub import hub_errors
from ..problems import Problems
from .base import Annotation, LabelledImage, Labels, Source
from .images import image_ids
from .indices import index_annotations
from .name_files import Meaning, find_name_file, meaning_of, names_of_taxonomy, read_name_file
from .names import parse_labels, separator_of
from .sniffing import label_files
from .splits import split_of

if TYPE_CHECKING:
    import datasets

_SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` writes
_METADATA = ("metadata.jsonl", "metadata.csv")
_LOOKED_AT = 2**16  # bytes of such a file
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
_IMAGE_COLUMNS = ("image", "img", "picture", "pixel_values")


class TableReader:
    """Reads a column of images, and one of masks whose values are numbers of part classes.

    Names come from a column of class labels that tells which classes are in an image, from a file of names or from a
    taxonomy. A second column of masks with "object" in its name tells the objects.
    """

    name: ClassVar[str] = "datasets"
    options: ClassVar[tuple[str, ...]] = ("names",)
    summary: ClassVar[str] = "a dataset of Hugging Face, on disk or on the Hub, with columns of images and of masks"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        if not source.path.exists():
            return _REPO_ID.fullmatch(source.given) is not None
        _is_image_folder.cache_clear()
        saved = any((source.path / name).is_file() for name in _SAVED)
        return saved or bool(label_files(source, (".parquet",))) or _is_image_folder(source.path)

    def read(self, source: Source) -> Labels:
        """See `Reader`; the masks are decoded, as only that shows what they hold."""
        _open.cache_clear()  # the dataset may have been saved again
        _local.cache_clear()
        _is_image_folder.cache_clear()
        labels, splits = Labels(), _open(source.given)
        columns = _Columns.of(next(iter(splits.values())).features, source.given)
        parts = _part_classes(columns, source, labels.problems)
        labels.classes = [class_name for class_name in parts.classes.values() if class_name]
        classes = {value: (name, None) for value, name in enumerate(columns.object_names)}
        objects = Meaning(classes, f"the class labels of {source.given}")
        names, found = [], []
        for split, rows in splits.items():
            photographs = tqdm(rows.select_columns([columns.image]), desc=f"Reading {split}", disable=None)
            for row, cells in enumerate(photographs):
                annotations, size = _annotations(source.given, split, row, columns, parts, objects, labels.problems)
                stored = PurePosixPath((cells[columns.image] or {}).get("path") or f"{row:06d}.png").name
                names.append(f"{split}/{stored}")
                image = Cell(source.given, split, row, columns.image)
                found.append((image, annotations, split_of(PurePosixPath(split)) if len(splits) > 1 else None, size))
        for image_id, (image, annotations, split, size) in zip(image_ids(names), found):
            labels.images.append(LabelledImage(image_id, image, tuple(annotations), split, size))
        return labels


@dataclass(frozen=True)
class Cell:
    """An image file in a table."""

    dataset: str
    split: str
    row: int
    column: str

    @property
    def name(self) -> str:
        """See `ImageData`."""
        return f"{self.column!r} of row {self.row} of {self.split}"

    def read(self) -> bytes:
        """See `ImageData`."""
        cell = _open(self.dataset)[self.split].select_columns([self.column])[self.row][self.column]
        data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
        if data is None and not path:
            raise DatasetError(f"{self.name} is empty.")
        return _read_inside(_local(self.dataset), path, self.name) if data is None else data


@dataclass(frozen=True)
class _Columns:
    """Which columns hold what."""

    image: str
    parts: str
    objects: str | None
    part_names: Sequence[str]  # by value; empty if no column tells
    object_names: Sequence[str]

    @classmethod
    def of(cls, features: datasets.Features, given: str) -> _Columns:
        from datasets import Image

        images = [column for column, feature in features.items() if isinstance(feature, Image)]
        image = next((column for column in _IMAGE_COLUMNS if column in images), images[0] if images else None)
        masks = [column for column in images if column != image]
        objects = next((column for column in masks if "obj" in column.lower()), None) if len(masks) > 1 else None
        parts = [column for column in masks if column != objects]
        if len(parts) != 1:
            raise DatasetError(
                f"{given} has the columns of images {images}; it needs one of photographs, called 'image', and one of "
                "masks, or two if 'object' is in the name of one. Rename or remove columns, and save it again."
            )
        names = _class_names(features)
        others = {column: names[column] for column in names if objects is None or not _alike(column, objects)}
        return cls(image, parts[0], objects, _for(parts[0], others), _for(objects, names) if objects else ())


def _class_names(features: datasets.Features) -> dict[str, list[str]]:
    """The names of columns of class labels, those that say something about all of an image left out."""
    from datasets import ClassLabel

    found = {}
    for column, feature in features.items():
        listed = False
        while (inner := getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)) is not None:
            feature, listed = inner, True
        if isinstance(feature, ClassLabel) and (listed or separator_of(feature.names)):
            found[column] = list(feature.names)
    return found


def _for(mask: str, names: Mapping[str, list[str]]) -> list[str]:
    """The names for a column of masks: those of a column called alike, or of the only one."""
    alike = [column for column in names if _alike(column, mask)]
    chosen = alike if len(alike) == 1 else list(names)
    return names[chosen[0]] if len(chosen) == 1 else []


def _alike(column: str, other: str) -> bool:
    return column[:4].lower() == other[:4].lower()


def _part_classes(columns: _Columns, source: Source, problems: Problems) -> Meaning:
    path = source.names or find_name_file(_local(source.given))
    if path is not None:
        return meaning_of(read_name_file(path, path.name, problems), path.name)
    if columns.part_names:
        name = f"the class labels of {source.given}"
        return Meaning(dict(enumerate(parse_labels(columns.part_names, name, problems))), name)
    if source.taxonomy is not None:
        return meaning_of(names_of_taxonomy(source.taxonomy), "the taxonomy")
    raise DatasetError(
        f"Nothing says what the values of {columns.parts!r} in {source.given} mean: no column holds a list of class "
        "labels. Name a file of names with --names, or a taxonomy with --taxonomy."
    )


def _annotations(
    given: str,
    split: str,
    row: int,
    columns: _Columns,
    parts: Meaning,
    objects: Meaning,
    problems: Problems,
) -> tuple[list[Annotation], tuple[int, int] | None]:
    annotations, size = index_annotations(Cell(given, split, row, columns.parts), parts, problems)
    if columns.objects is not None and objects.classes:
        whole, _ = index_annotations(Cell(given, split, row, columns.objects), objects, problems)
        annotations = [*annotations, *whole]
    return annotations, size


@lru_cache(maxsize=2)
def _open(given: str) -> Mapping[str, datasets.Dataset]:
    """The splits of a dataset, with images as they are stored."""
    import datasets

    path = _local(given)
    try:
        if any((path / name).is_file() for name in _SAVED):
            found = datasets.load_from_disk(str(path))
        elif path.is_file():
            found = datasets.load_dataset("parquet", data_files=str(path))
        else:
            found = datasets.load_dataset(str(path))
    except Exception as error:  # `datasets` and what it calls raise many kinds
        raise DatasetError(f"{given} cannot be read: {first_line(error)}") from error
    splits = {"train": found} if isinstance(found, datasets.Dataset) else dict(found)
    return {str(split): _undecoded(rows) for split, rows in splits.items()}


@lru_cache(maxsize=2)
def _local(given: str) -> Path:
    """The folder or file of a dataset, after downloading it if it is on the Hub."""
    path = Source(given).path
    return path if path.exists() else _download(given)


def _read_inside(folder: Path, path: str, name: str) -> bytes:
    """A file beside a table, as "imagefolder" has them, that lies in its folder."""
    file = Path(os.path.normpath(path))
    is_download = folder.parent.name == "snapshots"  # whose files are links into the cache of the Hub's client
    is_inside = file.is_relative_to(folder) and (is_download or file.resolve().is_relative_to(folder.resolve()))
    if not _is_image_folder(folder) or not is_inside or not file.is_file():
        fault = f"is a path, not the file itself: {brief(path)}"
        raise DatasetError(f"{name} {fault}; save the dataset with its images.")
    return file.read_bytes()


@lru_cache(maxsize=2)
def _is_image_folder(folder: Path) -> bool:
    """Whether this is what `datasets` calls an "imagefolder", with metadata that name a mask beside each image."""
    return any(_names_masks(path) for name in _METADATA for path in folder.rglob(name))


def _names_masks(path: Path) -> bool:
    """Whether this is the "metadata" of images for `datasets` that has a second column of files."""
    try:
        with path.open("rb") as file:
            return b"_file_name" in file.read(_LOOKED_AT)
    except OSError:
        return False


def _download(given: str) -> Path:
    try:
        with hub_errors(given, "dataset"):
            return Path(snapshot_download(given, repo_type="dataset"))
    except HubError as error:
        raise HubError(f"{given} is no file or folder here, and on the Hub: {error}") from error


def _undecoded(rows: datasets.Dataset) -> datasets.Dataset:
    import datasets

    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image) or _is_file(feature):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _is_file(feature: Any) -> bool:
    """Whether a column holds files, though the table does not say that they are images, as those of other libraries."""
    import datasets

    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return isinstance(feature, datasets.Value) and feature.dtype in ("binary", "large_binary")
