"""Folders of images with masks: one file of indices for each image, or a file for each part."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath
from typing import ClassVar, NamedTuple

from tqdm.auto import tqdm

from ...errors import DatasetError
from .base import Annotation, LabelledImage, Labels, Source
from .images import ImageFile, image_ids
from .indices import index_annotations
from .mask_files import LOSSLESS, Key, MaskFiles, bare, divisions
from .name_files import NamedClass, differing_files, find_name_file, meaning_of, names_of_taxonomy, read_name_file
from .shapes import MaskValues
from .splits import listed_splits, split_of


class Masks(NamedTuple):
    """The masks of an image: one file of indices, or files of parts."""

    index: ImageFile | None
    parts: list[tuple[ImageFile, NamedClass]]


class MasksReader:
    """Reads images and masks that lie in folders "images" and "masks" or beside each other: see docs/your_data.md."""

    name: ClassVar[str] = "masks"
    options: ClassVar[tuple[str, ...]] = ("images", "names")
    summary: ClassVar[str] = "images and PNG masks, of indices, colours or one for each part, and a file of names"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        if not source.path.is_dir():
            return False
        files = MaskFiles.of(source)
        return bool(files.images and files.masks)

    def read(self, source: Source) -> Labels:
        """See `Reader`; the masks are decoded, as only that shows what they hold."""
        if not source.path.is_dir():
            raise DatasetError(f"{source.given} is no folder; give the one with the images and the masks.")
        return _Reading(source).read()


class _Reading:
    """What was found so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.labels = Labels()
        self.problems = self.labels.problems
        self.names_name, names = self._names()
        self.meaning = meaning_of(names, self.names_name)
        self.by_file = {_plain(named.label): named for named in names} | {_plain(named.key): named for named in names}
        self.labels.classes = [named.class_name for named in names if named.class_name]

    def _names(self) -> tuple[str, list[NamedClass]]:
        path = self.source.names or find_name_file(self.source.root)
        if path is not None and self.source.names is None and (fault := differing_files(path, self.source.root)):
            self.problems.append(fault)
        if path is not None:
            return path.name, read_name_file(path, path.name, self.problems)
        if self.source.taxonomy is not None:
            return "the taxonomy", names_of_taxonomy(self.source.taxonomy)
        raise DatasetError(
            f"Nothing says what the values of the masks in {self.source.given} mean: put a file names.txt, names.json "
            "or names.csv there, or name one with --names."
        )

    def read(self) -> Labels:
        files = MaskFiles.of(self.source)
        self.problems.extend(files.repeated)
        masks, listed = self._pair(files), listed_splits(self.source.root)
        ids = dict(zip(files.images, image_ids(file.name for file in files.images.values())))
        for key in tqdm(masks, desc="Reading masks", unit=" images", disable=None):
            image, found = files.images[key], masks[key]
            values, size = index_annotations(found.index, self.meaning, self.problems) if found.index else ([], None)
            parts = [Annotation(file.name, named.class_name, MaskValues(file)) for file, named in found.parts]
            split = split_of(PurePosixPath(image.name).parent) or listed.get("/".join(key))
            self.labels.images.append(LabelledImage(ids[key], image, (*values, *parts), split, size))
        unlabelled = len(files.images) - len(masks)
        if unlabelled:
            self.labels.notes.append(f"Left out: images without a mask ({unlabelled:,}).")
        return self.labels

    def _pair(self, files: MaskFiles) -> dict[Key, Masks]:
        """The masks of each image that has some, in the order of the images."""
        index: dict[Key, ImageFile] = {}
        parts = defaultdict(list)
        for key, file in files.masks.items():
            if PurePosixPath(file.name).suffix.lower() not in LOSSLESS:
                self.problems.append(f"{file.name} does not keep the values of a mask; save masks as PNG.")
                continue
            image = self._indexed_image(key, files)
            if image is not None:
                if image in index:
                    self.problems.append(f"{file.name} and {index[image].name} are masks of one image.")
                index[image] = file
                continue
            image, named = self._part_of(key, files)
            if image is None:
                self.problems.append(f"{file.name} belongs to no image. {self._advice()}")
            elif named is not None and named.class_name is not None:
                parts[image].append((file, named))
        return {key: Masks(index.get(key), parts.get(key, [])) for key in files.images if key in index or key in parts}

    def _indexed_image(self, key: Key, files: MaskFiles) -> Key | None:
        candidates = [key, bare(key), (*key[:-1], PurePosixPath(key[-1]).stem)]  # the last for "a.jpg.png"
        return next((candidate for candidate in candidates if candidate in files.images), None)

    def _part_of(self, key: Key, files: MaskFiles) -> tuple[Key | None, NamedClass | None]:
        """The image and the class of a mask of one part, by its name and that of its folder."""
        *folders, stem = key
        candidates = [
            (tuple(folders), stem),
            *([(tuple(folders[:-1]), f"{folders[-1]} {stem}")] if folders else []),
            *([((*folders[:-1], stem), folders[-1])] if folders else []),
            *([((*folders[:-2], stem), " ".join(folders[-2:]))] if len(folders) > 1 else []),
            *(((*folders, start), end) for start, end in divisions(stem)),
        ]
        for image, part in candidates:
            named = self.by_file.get(_plain(part)) or self.by_file.get(re.sub(r"_\d+$", "", _plain(part)))
            if image in files.images and named:
                return image, named
        return None, None

    def _advice(self) -> str:
        return f"Name it like the image, or after the image and a class of {self.names_name}."


def _plain(text: str) -> str:
    """A name as files are called: "dog's ear", "dog:ear" and "Dog Ear" are "dog_ear"."""
    return re.sub(r"[\W_]+", "_", text.lower().replace("'s ", " ")).strip("_")
