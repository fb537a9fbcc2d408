"""Turns the files of a release into rows, and says what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.images import image_size
from ..masks import LabelMap, check_labels
from ..rows import Instance, instance_row, semantic_row
from .layout import ReleaseLayout
from .listing import ListedImage
from .problems import Problems


@dataclass(frozen=True)
class Release:
    """An extracted release.

    Attributes:
        layout: Where its files are.
        taxonomy: What the labels mean.
        root: Its top folder.
    """

    layout: ReleaseLayout
    taxonomy: PartTaxonomy
    root: Path

    def row(self, entry: ListedImage) -> dict[str, Any]:
        """The row of an image.

        Raises:
            DatasetError: One of its files is broken, or they contradict each other.
        """
        row, problems = self.examine(entry)
        if problems:
            raise DatasetError(problems[0])
        return row

    def examine(self, entry: ListedImage) -> tuple[dict[str, Any], Problems]:
        """The row of a entry, and everything that is wrong with it; with a problem the row is empty."""
        problems = Problems()
        path = self._path(self.layout.images, entry, ".jpg")
        image = path.read_bytes()
        size = problems.attempt(image_size, image, self._name(path))
        maps = {folder: problems.attempt(self._label_map, folder, entry) for folder in self.layout.mask_folders}
        for folder, label_map in maps.items():
            if size and label_map and label_map.values.shape != size:
                problems.append(
                    f"{self._name(self._path(folder, entry, '.png'))} is {_by(label_map.values.shape)}, but "
                    f"{self._name(path)} is {_by(size)} pixels (turned upright)."
                )
        instances = self._instances(entry, size, problems)
        if problems:
            return {}, problems
        part_map = maps[self.layout.part_maps]
        if self.layout.object_maps is None:
            return instance_row(entry.image_id, image, part_map, instances, self.taxonomy), problems
        object_map = maps[self.layout.object_maps]
        return semantic_row(entry.image_id, image, object_map, part_map, self.taxonomy), problems

    def _label_map(self, folder: str, entry: ListedImage) -> LabelMap:
        path = self._path(folder, entry, ".png")
        label_map = LabelMap.from_png(path.read_bytes(), self.layout.mask_bits, self._name(path))
        classes = self.taxonomy.part_classes if folder == self.layout.part_maps else self.taxonomy.object_classes
        check_labels(label_map.values, len(classes), self.taxonomy.ignore_index, self._name(path))
        return label_map

    def _instances(self, entry: ListedImage, size: tuple[int, int] | None, problems: Problems) -> list[Instance]:
        listed = entry.annotated
        if listed is None:
            return []
        if size and size != (listed.height, listed.width):
            path = self.root / self.layout.instance_files[entry.split]
            problems.append(
                f"{self._name(path)} says that {listed.file_name} is {_by((listed.height, listed.width))} pixels, but "
                f"{self._name(self._path(self.layout.images, entry, '.jpg'))} is {_by(size)} (turned upright)."
            )
            return []
        num_objects = len(self.taxonomy.object_classes)
        decoded = [
            problems.attempt(annotation.to_instance, listed.height, listed.width, num_objects)
            for annotation in listed.annotations
        ]
        return [instance for instance in decoded if instance is not None]

    def _path(self, folder: str, entry: ListedImage, suffix: str) -> Path:
        return self.root / folder / self.layout.split_folders[entry.split] / f"{entry.image_id}{suffix}"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root.parent).as_posix()


def _by(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"
