"""From a mask whose values are numbers of classes to annotations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..problems import Problems
from .base import Annotation, ClassName, ImageData, spelled
from .images import label_values
from .shapes import MaskValues

NO_LABEL = (255, 65535)
"""Values that mean "no label" unless they are named, as 0 does."""


def index_annotations(
    file: ImageData, classes: Mapping[int, ClassName | None], names_name: str, problems: Problems
) -> tuple[list[Annotation], tuple[int, int] | None]:
    """The classes in a mask, by value, and its (height, width); `names_name` is where `classes` were read.

    Each object is all pixels of its class.
    """
    values = problems.attempt(_read_values, file)
    if values is None:
        return [], None
    present = [int(value) for value in np.unique(values)]
    unknown = [value for value in present if value not in classes and value not in (0, *NO_LABEL)]
    if unknown:
        advice = " Number its lines from 0, also the background." if min(classes, default=0) == 0 else ""
        problems.append(f"{file.name} holds the values {unknown[:10]}, which {names_name} does not name.{advice}")
    named = [(value, class_name) for value in present if (class_name := classes.get(value))]
    annotations = [
        Annotation(f"value {value} of {file.name}", class_name, MaskValues(file, (value,)), class_name[0])
        for value, class_name in named
        if class_name[1] is not None
    ]
    for value, (object_name, part_name) in named:
        if part_name is None:
            shape = MaskValues(file, tuple(v for v, other in named if other[0] == object_name))
            label = f"value {value} of {file.name} ({spelled((object_name, None))})"
            annotations.append(Annotation(label, (object_name, None), shape, object_name))
    return annotations, (values.shape[0], values.shape[1])


def _read_values(file: ImageData) -> np.ndarray:
    return label_values(file.read(), file.name)
