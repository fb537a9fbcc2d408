"""Labelled regions as most tools store them, with one text for the object and its part; and from these to `Labels`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from .base import Annotation, ImageData, LabelledImage, Labels, Shape
from .images import image_ids
from .names import parse_labels


@dataclass
class Region:
    """An annotation whose label is still to be split into object and part."""

    name: str  # as messages call it
    label: str
    shape: Shape
    instance: Hashable | None = None  # equal for the regions of one object


@dataclass
class Sheet:
    """An image and its regions in painting order."""

    name: str  # of the label file, or of its entry
    image: ImageData
    regions: list[Region] = field(default_factory=list)
    split: str | None = None
    stated_size: tuple[int, int] | None = None  # (height, width)


def add_sheets(labels: Labels, sheets: Sequence[Sheet], source_name: str, listed: Sequence[str] = ()) -> Labels:
    """Adds the images of a source to what was found, its labels being split by one rule.

    `listed` are labels in the order of the source, used or not; without them the source has no order of classes.
    """
    used = (region.label for sheet in sheets for region in sheet.regions)
    names = list(dict.fromkeys([*listed, *used]))
    classes = dict(zip(names, parse_labels(names, source_name, labels.problems)))
    labels.classes += dict.fromkeys(class_name for label in listed if (class_name := classes[label]))
    owners: dict[ImageData, Sheet] = {}
    for sheet in sheets:
        other = owners.setdefault(sheet.image, sheet)
        if other is not sheet:
            both = f"{other.name} and {sheet.name}"
            labels.problems.append(f"{both} are both labels of the image {sheet.image.name}. Keep one of them.")
    for image_id, sheet in zip(image_ids(image.name for image in owners), owners.values()):
        annotations = [
            Annotation(region.name, class_name, region.shape, _within(class_name[0], region.instance))
            for region in sheet.regions
            if (class_name := classes[region.label])
        ]
        labels.images.append(LabelledImage(image_id, sheet.image, tuple(annotations), sheet.split, sheet.stated_size))
    return labels


def _within(object_name: str, instance: Hashable | None) -> Hashable | None:
    """The key of an object: people number them for each class, or put two objects into one group."""
    return None if instance is None else (object_name, instance)
