"""Which files of a folder are images, and which are masks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeAlias

from .base import Source
from .images import ImageFile, ImageFolder

Key: TypeAlias = "tuple[str, ...]"
"""Folders and stem of a file, less the folder that says whether it is an image or a mask."""

LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif")
"""Suffixes of files that keep the values of a mask."""
_MASKS = (
    "masks?|labels?|anns?|annotations?|segmentations?|seg|gt|ground_?truth|segmentationclass(?:raw|aug|png)?|part_masks?|"
    "part_maps?"
)
_IMAGES = "images?|imgs?|jpegimages|photos?|photographs?|pictures?"
_LEFT_OUT = re.compile(r"segmentation(?:object\w*|classvisualization)", re.IGNORECASE)
"""Of PASCAL VOC and LabelMe: which shape each pixel is in, instead of which class, and masks painted on images."""
_SPLITS = "train|training|val|valid|validation|test"
_MASK_FOLDER = re.compile(rf"(?:({_SPLITS})[_-])?(?:{_MASKS})", re.IGNORECASE)
_IMAGE_FOLDER = re.compile(rf"(?:({_SPLITS})[_-])?(?:{_IMAGES})", re.IGNORECASE)
_MASK_ENDING = re.compile(rf"[_.-](?:{_MASKS}|parts?)$", re.IGNORECASE)


@dataclass
class MaskFiles:
    """The images and the masks of a source; files that share a key with another are in `repeated`."""

    images: dict[Key, ImageFile] = field(default_factory=dict)
    masks: dict[Key, ImageFile] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source) -> MaskFiles:
        """Tells the files apart: by `source.images`, by folders such as "masks", or by the names of files."""
        files = cls()
        folder = ImageFolder(source.path, [source.images] if source.images else [])
        paths = {folder.file(path): path.relative_to(folder.root) for path in folder.files}
        paths = {file: path for file, path in paths.items() if not any(map(_LEFT_OUT.fullmatch, path.parts[:-1]))}
        in_masks = {file: any(map(_MASK_FOLDER.fullmatch, path.parts[:-1])) for file, path in paths.items()}
        if source.images is not None:
            images = ImageFolder(source.images)
            for path in images.files:
                files._add(files.images, _key(path.relative_to(images.root)), images.file(path))
            paths = {file: path for file, path in paths.items() if in_masks[file]} or paths
            is_mask = dict.fromkeys(paths, True)
        else:
            is_mask = in_masks if any(in_masks.values()) else _masks_beside_images(paths)
        for file, path in paths.items():
            files._add(files.masks if is_mask[file] else files.images, _key(path), file)
        return files

    def _add(self, files: dict[Key, ImageFile], key: Key, file: ImageFile) -> None:
        if key in files:
            self.repeated.append(
                f"{files[key].name} and {file.name} have one name, so their masks cannot be told apart."
            )
        files[key] = file


def bare(key: Key) -> Key:
    """A key without "_mask" or the like behind."""
    return (*key[:-1], _MASK_ENDING.sub("", key[-1]))


def divisions(stem: str) -> list[tuple[str, str]]:
    """All ways to divide "a_dog_ear" at "_", "." or "-"."""
    return [(stem[: match.start()], stem[match.end() :]) for match in re.finditer("[_.-]", stem)]


def _masks_beside_images(paths: dict[ImageFile, Path]) -> dict[ImageFile, bool]:
    """Beside an image "a", masks are "a_mask", and if the image is of another kind than masks "a" and "a_dog_ear"."""
    keys = {_key(path) for path in paths.values()}
    photographs = {_key(path) for path in paths.values() if path.suffix.lower() not in LOSSLESS}
    found = {}
    for file, path in paths.items():
        key = _key(path)
        begins = any((*key[:-1], start) in photographs for start, _ in divisions(key[-1]))
        named = key in photographs or begins or (bare(key) != key and bare(key) in keys)
        found[file] = path.suffix.lower() in LOSSLESS and named
    return found


def _key(path: PurePath) -> Key:
    folders = []
    for part in path.parts[:-1]:
        match = _MASK_FOLDER.fullmatch(part) or _IMAGE_FOLDER.fullmatch(part)
        folders += [part] if match is None else [match[1]] if match[1] else []
    return tuple(unicodedata.normalize("NFC", part) for part in (*folders, path.stem))
