"""The image files of a source: where they are, what they are called, and what is in a mask."""

from __future__ import annotations

import io
import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from ...errors import DatasetError
from ...utils.files import brief, name_fault
from ...utils.images import MAX_PIXELS, image_suffixes, reading
from .splits import split_of

OVERLAYS = ".overlays"
"""A file that marks a folder of images with labels painted on."""
ValueKind: TypeAlias = Literal["indices", "brightness", "colours"]
"""What the pixels of a mask hold."""
_INDEX_MODES = ("1", "L", "P", "I;16", "I;16B", "I")


@dataclass(frozen=True)
class ImageFile:
    """A file on disk, called `name` in messages."""

    path: Path
    name: str

    def read(self) -> bytes:
        """The bytes of the file."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{self.name} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True)
class ImageBytes:
    """A file that a label file holds itself."""

    data: bytes
    name: str

    def read(self) -> bytes:
        """The bytes of the file."""
        return self.data


class ImageFolder:
    """The image files at any depth of a folder, found by the names that label files call them.

    Hidden files and folders are left out. Nothing outside the folder is ever read: not by "..", an absolute path or a
    symbolic link.
    """

    def __init__(self, root: Path, leave_out: Sequence[Path] = ()) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise DatasetError(f"There is no folder {root}; name the folder of the images with --images.")
        out = [path.resolve() for path in leave_out]
        self.files = [path for path in visible_files(self.root) if not any(path.is_relative_to(o) for o in out)]
        suffixes = image_suffixes()
        self.files = [path for path in self.files if path.suffix.lower() in suffixes]
        self.known = frozenset(self.files)
        self._by_name: dict[str, list[Path]] = {}
        self._names_by_stem: dict[str, set[str]] = {}
        for path in self.files:
            self._by_name.setdefault(_key(path.name), []).append(path)
            self._names_by_stem.setdefault(_key(path.stem), set()).add(path.name)

    def find(self, file_name: str, label: str, split: str | None = None) -> ImageFile:
        """The image that a label file, called `label` in messages, calls `file_name`.

        That is a path from the folder, from a folder in it ("a.jpg" for "images/a.jpg"), or from one above it
        ("data/images/a.jpg"); of a path on the disk of whoever labelled, the name must do. Case does not count, and the
        suffix may be missing.
        Of several, those in folders of the `split` are preferred.
        """
        path = PurePosixPath(file_name.replace("\\", "/"))
        suffixed = self._names_by_stem.get(_key(path.name), set())
        if _key(path.name) not in self._by_name and len(suffixed) == 1:
            path = path.with_name(next(iter(suffixed)))
        parts = tuple(part for part in path.parts if part not in ("..", "/"))
        same_name = [found.relative_to(self.root).parts for found in self._by_name.get(_key(path.name), ())]
        matches = [found for found in same_name if _ends_alike(found, parts)]
        if path.is_absolute() or path.parts[:1] and path.parts[0].endswith(":"):
            matches = matches or same_name
        longest = max((min(len(found), len(parts)) for found in matches), default=0)
        matches = [found for found in matches if min(len(found), len(parts)) == longest]
        matches = [found for found in matches if found == parts] or matches
        if split is not None and len(matches) > 1:
            matches = [found for found in matches if split_of(PurePosixPath(*found[:-1])) == split] or matches
        if len(matches) == 1:
            return self.file(self.root.joinpath(*matches[0]))
        if matches:
            several = ["/".join(found) for found in matches[:3]]
            raise DatasetError(f"{label} names the image {brief(file_name)}, which may be any of {several}.")
        raise DatasetError(f"{label} names the image {brief(file_name)}, which {self._fault(path)}.")

    def _fault(self, path: PurePosixPath) -> str:
        if ".." in path.parts:
            return f"leads out of {self.root}; copy it there, or name the folder of the images with --images"
        if name_fault(str(path)) is None and os.path.islink(self.root / path):  # noqa: PTH114  where pathlib may raise
            return f"is a link that leads out of {self.root}; copy it there"
        return f"is not in {self.root}; if images lie elsewhere, name their folder with --images"

    def file(self, path: Path) -> ImageFile:
        """One of `files`, named from the folder."""
        return ImageFile(path, path.relative_to(self.root).as_posix())


def _ends_alike(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of two paths ends in the whole other."""
    length = min(len(path), len(other))
    return length > 0 and [*map(_key, path[-length:])] == [*map(_key, other[-length:])]


def _key(name: str) -> str:
    """Equal for names that differ in case or in the form of Unicode only, as copying between systems changes them."""
    return unicodedata.normalize("NFC", name).lower()


def visible_files(root: Path) -> list[Path]:
    """Files at any depth of a folder, sorted, less hidden ones, links that lead out of it, and prepared datasets."""
    root = root.resolve()
    found = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not _is_left_out(Path(folder, name)))
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        found.extend(path for path in paths if path.is_file() and path.resolve().is_relative_to(root))
    return sorted(found)


def _is_left_out(folder: Path) -> bool:
    """Hidden folders, and what this library has written: datasets and overlays."""
    is_dataset = (folder / "taxonomy.json").is_file() and (folder / "data").is_dir()
    return folder.name.startswith((".", "__MACOSX")) or is_dataset or (folder / OVERLAYS).is_file()


def image_ids(names: Iterable[str]) -> list[str]:
    """A unique id for each path "folder/name.jpg": its name without suffix, if that occurs once in any case.

    Otherwise its folders precede it, joined by "-", and if that is not enough the suffix follows.
    """
    paths = [[part for part in PurePosixPath(name).parts if part.strip("/.")] or ["image"] for name in names]
    forms = [
        [PurePosixPath(path[-1]).stem, "-".join((*path[:-1], PurePosixPath(path[-1]).stem)), "-".join(path)]
        for path in paths
    ]
    counts = [Counter(form[kind].lower() for form in forms) for kind in range(3)]
    ids: dict[str, str] = {}  # in lower case -> as they are
    for form in forms:
        chosen = next((form[kind] for kind in range(3) if counts[kind][form[kind].lower()] == 1), form[2])
        numbers = (f"-{number}" if number > 1 else "" for number in itertools.count(1))
        unique = next(chosen + number for number in numbers if (chosen + number).lower() not in ids)
        ids[unique.lower()] = unique
    return list(ids.values())


def label_values(data: bytes, name: str, kind: ValueKind = "indices") -> np.ndarray:
    """The values of a mask file, (H, W) integers; its EXIF orientation does not count.

    "indices" are those of a palette, or 0 and 1 of black and white; an image of several channels is refused unless they
    are equal. "brightness" is that of the brightest channel where it is not transparent. "colours" are 0xRRGGBB.
    """
    with reading(DatasetError, name, "Save it again.", "mask", data), Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise DatasetError(f"{name} has {image.width} x {image.height} pixels; allowed are {MAX_PIXELS:,}.")
        if kind == "colours":
            red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), -1, 0)
            return (red << 16) + (green << 8) + blue
        if image.mode not in _INDEX_MODES and kind == "brightness":
            channels = np.asarray(image.convert("RGBA"))
            return (channels[..., :3].max(axis=2) * (channels[..., 3] > 0)).astype(np.int64)
        if image.mode == "RGB" and all(np.array_equal(image.getchannel(0), image.getchannel(i)) for i in (1, 2)):
            return np.asarray(image.getchannel(0)).astype(np.int64)
        if image.mode not in _INDEX_MODES:
            raise DatasetError(
                f"{name} has image mode {image.mode}; a mask has one channel that holds the number of each pixel's "
                "class (greyscale or palette). Save it so, or name the classes by their colours."
            )
        return np.asarray(image).astype(np.int64)
