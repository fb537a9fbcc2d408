"""An extracted release: where its files are, which of them belong together, and the row of each image."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.files import brief, name_fault
from ...utils.images import image_size
from ..consistency import contradiction
from ..masks import LabelMap, check_labels
from ..problems import Problems
from ..rows import Instance, instance_row, semantic_row
from .annotations import AnnotatedImage, read_few_shot_list, read_instances
from .archives import content_hint, is_junk

T = TypeVar("T")


@dataclass(frozen=True)
class ReleaseLayout:
    """The facts about the files of a release; a folder of maps holds one PNG for each image."""

    folder_names: tuple[str, ...]  # spellings of the name of its top folder
    split_folders: Mapping[str, str]
    part_maps: str
    few_shot_list: str
    images_in_paper: Mapping[str, int]  # the size of each split as the literature gives it
    object_maps: str | None = None  # None: objects come as instances
    instance_files: Mapping[str, str] = field(default_factory=dict)  # of each split
    images: str = "images"

    @property
    def mask_folders(self) -> tuple[str, ...]:
        """Folders that hold one PNG for each image."""
        return (self.part_maps,) if self.object_maps is None else (self.object_maps, self.part_maps)

    @property
    def entries(self) -> tuple[str, ...]:
        """All files and folders of the top folder that are read."""
        return (self.images, *self.mask_folders, *self.instance_files.values(), self.few_shot_list)

    def shortfall(self, found: Mapping[str, int]) -> str | None:
        """Which splits have fewer images than the release, as the literature counts them; None if none has."""
        missing = [
            f"{split} has {found.get(split, 0):,} of {expected:,} images"
            for split, expected in self.images_in_paper.items()
            if found.get(split, 0) < expected
        ]
        return f"Incomplete: {', '.join(missing)}." if missing else None

    def find_root(self, folder: Path) -> Path:
        """The top folder of the release: `folder` itself, or one of its known names inside it."""
        for name in self.folder_names:
            if (folder / name).is_dir():
                return folder / name
        if folder.name in self.folder_names or any((folder / entry).exists() for entry in self.entries):
            return folder
        raise DatasetError(
            f"{folder} neither holds a folder {' or '.join(self.folder_names)} nor is one: there is no "
            f"{' or '.join(self.entries[:2])} in it.{content_hint(folder)}"
        )


@dataclass(frozen=True)
class ListedImage:
    """One image of a release, with its entry in the instance file if there is one."""

    split: str
    image_id: str
    annotated: AnnotatedImage | None = None


@dataclass
class Listing:
    """The complete images of a release, and what is wrong with its files."""

    images: dict[str, list[ListedImage]] = field(default_factory=dict)  # of each split, in the benchmark's order
    few_shot_ids: frozenset[str] = frozenset()
    found: dict[str, dict[str, int]] = field(default_factory=dict)  # entries of each split's folders and files
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)  # oddities that do no harm


@dataclass(frozen=True)
class Release:
    """An extracted release: `root` is its top folder."""

    layout: ReleaseLayout
    taxonomy: PartTaxonomy
    root: Path

    def list_images(self) -> Listing:
        """Pairs the files of each split by name; images come by their id in the instance file, or else by name."""
        listing = Listing()
        for split in self.layout.split_folders:
            listing.images[split] = self._list_split(split, listing)
        listing.few_shot_ids = self._list_few_shot(listing)
        return listing

    def row(self, image: ListedImage) -> dict[str, Any]:
        """The row of an image; raises `DatasetError` if a file is broken or two contradict each other."""
        row, problems = self.examine(image)
        if problems:
            raise DatasetError(problems[0])
        return row

    def contradiction(self, image: ListedImage, row: dict[str, Any]) -> str | None:
        """Tells if the parts of an image are not where the objects are that they belong to."""
        fault = contradiction(row, self.taxonomy)
        return fault and f"{self._name(self._path(self.layout.part_maps, image, '.png'))} {fault}"

    def examine(self, image: ListedImage) -> tuple[dict[str, Any], Problems]:
        """The row of an image, and everything that is wrong with it; with a problem the row is empty."""
        problems = Problems()
        path = self._path(self.layout.images, image, ".jpg")
        data = problems.attempt(self._bytes, path)
        if data is None:
            return {}, problems
        size = problems.attempt(image_size, data, self._name(path))
        maps = {folder: problems.attempt(self._label_map, folder, image, size) for folder in self.layout.mask_folders}
        instances = self._instances(image, size, problems)
        if problems:
            return {}, problems
        part_map = maps[self.layout.part_maps]
        if self.layout.object_maps is None:
            return instance_row(image.image_id, data, part_map, instances, self.taxonomy), problems
        return semantic_row(image.image_id, data, maps[self.layout.object_maps], part_map, self.taxonomy), problems

    def _list_split(self, split: str, listing: Listing) -> list[ListedImage]:
        problems_before = len(listing.problems)
        stems, listing.found[split] = {}, {}
        for folder in (self.layout.images, *self.layout.mask_folders):
            path = self.root / folder / self.layout.split_folders[split]
            if path.is_dir():
                stems[folder] = _stems(path, ".jpg" if folder == self.layout.images else ".png")
                listing.found[split][folder] = len(stems[folder])
            else:
                fault = "is a file" if path.exists() else "is missing"
                hint = content_hint(path.parent if path.parent.is_dir() else self.root)
                listing.problems.append(f"{self._name(path)} {fault}; the release has this folder.{hint}")
        self._note_unpaired_files(split, stems, listing)
        for stem in sorted(set().union(*stems.values())):
            if fault := name_fault(stem):
                listing.problems.append(f"The name {stem!r} of a file in {split} {fault}. Rename its files.")
        complete = len(stems) == len(self.layout.mask_folders) + 1
        present = set.intersection(*stems.values()) if complete else set()
        if self.layout.instance_files:
            images = self._annotated_images(split, present, listing)
        else:
            images = [ListedImage(split, stem) for stem in sorted(present)]
        if not images and len(listing.problems) == problems_before:
            folder = self.root / self.layout.images / self.layout.split_folders[split]
            listing.problems.append(f"{self._name(folder)} holds no images (.jpg).")
        return images

    def _note_unpaired_files(self, split: str, stems: dict[str, set[str]], listing: Listing) -> None:
        folder = self.layout.split_folders[split]
        images = stems.get(self.layout.images)
        for mask_folder in self.layout.mask_folders:
            if images is None or mask_folder not in stems:
                continue
            for stem in sorted(images ^ stems[mask_folder]):
                image = self._name(self.root / self.layout.images / folder / f"{stem}.jpg")
                mask = self._name(self.root / mask_folder / folder / f"{stem}.png")
                fault = f"{image} has no mask {mask}." if stem in images else f"{mask} has no image {image}."
                listing.problems.append(fault)

    def _annotated_images(self, split: str, present: set[str], listing: Listing) -> list[ListedImage]:
        path = self.root / self.layout.instance_files[split]
        read = listing.problems.attempt(self._read, read_instances, path)
        if read is None:
            return []
        annotated, inconsistencies = read
        listing.found[split][path.name] = len(annotated)
        listing.problems.extend(inconsistencies)
        folder = self.root / self.layout.images / self.layout.split_folders[split]
        for image in annotated:
            if not os.path.isfile(folder / image.file_name):  # noqa: PTH113  is False, where pathlib raises
                fault = f"lists {brief(image.file_name)}, which {self._name(folder)} lacks"
                listing.problems.append(f"{self._name(path)} {fault}.")
        by_stem = {PurePosixPath(image.file_name).stem: image for image in annotated}
        unlisted = sorted(present - by_stem.keys())
        if unlisted:
            listing.notes.append(f"{self._name(path)} does not list {len(unlisted)} images, left out: {unlisted[:10]}.")
        return [ListedImage(split, stem, image) for stem, image in by_stem.items() if stem in present]

    def _list_few_shot(self, listing: Listing) -> frozenset[str]:
        path = self.root / self.layout.few_shot_list
        entries = listing.problems.attempt(self._read, read_few_shot_list, path)
        if entries is None:
            return frozenset()
        folder = self.layout.split_folders["train"]
        known = {image.image_id for image in listing.images["train"]}
        paths = {entry: PurePosixPath(entry) for entry in entries}
        ids = {entry: p.stem for entry, p in paths.items() if p.parent.as_posix() in (folder, ".") and p.stem in known}
        unmatched = [entry for entry in entries if entry not in ids]
        if not ids and known:
            listing.problems.append(
                f"{self._name(path)} names no image of {self.layout.images}/{folder}; its first entries are "
                f"{entries[:3]}. An entry must end in {self.layout.images}/{folder}/<id>.jpg."
            )
        elif unmatched:
            listing.notes.append(f"{self._name(path)} names images that are not there: {unmatched[:10]}.")
        return frozenset(ids.values())

    def _read(self, read: Callable[[Path, str], T], path: Path) -> T:
        if not path.is_file():
            fault = "is a folder" if path.exists() else "is missing"
            raise DatasetError(f"{self._name(path)} {fault}; the release has this file.")
        return read(path, self._name(path))

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{self._name(path)} cannot be read: {error.strerror}.") from error

    def _label_map(self, folder: str, image: ListedImage, size: tuple[int, int] | None) -> LabelMap:
        path = self._path(folder, image, ".png")
        image_name = self._name(self._path(self.layout.images, image, ".jpg"))
        label_map = LabelMap.from_png(self._bytes(path), self.taxonomy.mask_bits, self._name(path), size, image_name)
        classes = self.taxonomy.part_classes if folder == self.layout.part_maps else self.taxonomy.object_classes
        check_labels(label_map.values, len(classes), self.taxonomy.ignore_index, self._name(path))
        return label_map

    def _instances(self, image: ListedImage, size: tuple[int, int] | None, problems: Problems) -> list[Instance]:
        listed = image.annotated
        if listed is None:
            return []
        stated = (listed.height, listed.width)
        if size and size != stated:
            path = self.root / self.layout.instance_files[image.split]
            problems.append(
                f"{self._name(path)} says that {listed.file_name} is {_format_size(stated)} pixels, but "
                f"{self._name(self._path(self.layout.images, image, '.jpg'))} is {_format_size(size)} (turned upright)."
            )
            return []
        num_objects = len(self.taxonomy.object_classes)
        decoded = [problems.attempt(annotation.to_instance, *stated, num_objects) for annotation in listed.annotations]
        return [instance for instance in decoded if instance is not None]

    def _path(self, folder: str, image: ListedImage, suffix: str) -> Path:
        return self.root / folder / self.layout.split_folders[image.split] / f"{image.image_id}{suffix}"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root.parent).as_posix()


def _stems(folder: Path, suffix: str) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix == suffix and not is_junk(path.name)}


def _format_size(size: tuple[int, ...]) -> str:
    return f"{brief(size[1])} x {brief(size[0])}"
