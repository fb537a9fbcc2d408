"""What a reader of label files gives, whatever tool wrote them: images, and annotations whose shapes are decoded later.

A reader is a class with the attributes and methods of `Reader`, in a file of its own, and a line in `registry`.
It reads text, not pixels: it lists images and makes shapes (`shapes`) of their labels. It collects problems instead of
raising at the first, and names the file and the annotation in each.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.files import resolve_path
from ..problems import Problems

ClassName: TypeAlias = "tuple[str, str | None]"
"""(object name, part name), such as ("dog", "ear"); the part is None for the object itself."""


def spelled(class_name: ClassName) -> str:
    """A class as the taxonomy spells it: "dog's ear", or "dog"."""
    object_name, part_name = class_name
    return object_name if part_name is None else f"{object_name}'s {part_name}"


@dataclass(frozen=True)
class Source:
    """What `ovparts prepare custom` is pointed at."""

    given: str  # path of a file or a folder, or, for the format that reads it, the id of a Hub repository
    images: Path | None = None  # folder of the images, if the label files do not lie with them
    names: Path | None = None  # file with the names of the classes, for formats that store numbers only
    taxonomy: PartTaxonomy | None = None  # the classes that are allowed; None: those that the labels name

    @property
    def path(self) -> Path:
        """The absolute path; `DatasetError` if no file can be called so."""
        return resolve_path(self.given, DatasetError)

    @property
    def root(self) -> Path:
        """The folder that holds the labels; messages name files from here."""
        return self.path if self.path.is_dir() else self.path.parent


class Shape(Protocol):
    """The pixels of an annotation, undecoded; it can be pickled, since images are read in several processes."""

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """(height, width) bool, for an upright image of this size; a `DatasetError` calls the annotation `name`."""


class ImageData(Protocol):
    """An image file that is read later; it can be pickled."""

    name: str  # as messages call it

    def read(self) -> bytes:
        """The bytes of the file, undecoded; `DatasetError` if it cannot be read."""


@dataclass(frozen=True)
class Annotation:
    """A labelled region of an image: of a part, or of a whole object.

    Annotations of one object share `instance`, any value that is unique in the image. Where it is None, the objects of
    a class are not told apart, except that every object annotation is an object of its own.
    """

    name: str  # as messages call it: "annotation 12 of labels.json"
    class_name: ClassName
    shape: Shape
    instance: Hashable | None = None

    @property
    def object_name(self) -> str:
        """Name of the object, or of the object that the part belongs to."""
        return self.class_name[0]

    @property
    def part_name(self) -> str | None:
        """Name of the part; None for the mask of an object."""
        return self.class_name[1]


@dataclass(frozen=True)
class LabelledImage:
    """An image and its annotations in painting order: where two parts overlap, the later one counts."""

    image_id: str  # unique in the source, see `images.image_ids`
    image: ImageData
    annotations: tuple[Annotation, ...]
    split: str | None = None  # "train", "validation" or "test" if the source says so
    stated_size: tuple[int, int] | None = None  # (height, width) that the labels were made for, if the source says so


@dataclass
class Labels:
    """All that a reader found. `classes` are those that the source lists, in its order, used or not."""

    images: list[LabelledImage] = field(default_factory=list)
    classes: list[ClassName] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)  # with any of them, nothing is prepared
    notes: list[str] = field(default_factory=list)  # what was left out or decided


class Reader(Protocol):
    """Reads one format of labels."""

    name: ClassVar[str]  # that of `--format`
    options: ClassVar[tuple[str, ...]]  # what it uses of `Source.images` and `Source.names`
    summary: ClassVar[str]  # what it looks like, for messages and help: "COCO JSON (instances with segmentations)"

    def recognises(self, source: Source) -> bool:
        """Whether the source looks like this format; quick, and never an error."""

    def read(self, source: Source) -> Labels:
        """Lists images and annotations; `DatasetError` if nothing can be read at all."""
