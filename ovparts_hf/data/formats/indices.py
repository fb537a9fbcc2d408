"""From a mask whose values are numbers of classes to annotations."""

from __future__ import annotations

import numpy as np

from ..problems import Problems
from .base import Annotation, ImageData, spelled
from .images import label_values
from .name_files import Meaning
from .shapes import MaskValues

NO_LABEL = (255, 65535)
"""Values that mean "no label" unless they are named, as 0 does."""
_BORDER = 0xE0E0C0  # which PASCAL VOC draws around objects


def index_annotations(
    file: ImageData, meaning: Meaning, problems: Problems
) -> tuple[list[Annotation], tuple[int, int] | None]:
    """The classes in a mask, by value, and its (height, width); each object is all pixels of its class."""
    classes, kind = meaning.classes, "colours" if meaning.are_colours else "indices"
    values = problems.attempt(lambda: label_values(file.read(), file.name, kind))
    if values is None:
        return [], None
    present = [int(value) for value in np.unique(values)]
    no_label = (0, _BORDER) if meaning.are_colours else (0, *NO_LABEL)
    unknown = [value for value in present if value not in classes and value not in no_label]
    if unknown:
        counted = min(classes, default=0) == 0 and not meaning.are_colours
        advice = " Number its lines from 0, also the background." if counted else ""
        shown = f"{_noun(meaning)}s [{', '.join(_spelled(value, meaning) for value in unknown[:10])}]"
        problems.append(f"{file.name} holds the {shown}, which {meaning.said_in} does not name.{advice}")
    named = [(value, class_name) for value in present if (class_name := classes.get(value))]
    annotations = [
        Annotation(
            f"{_noun(meaning)} {_spelled(value, meaning)} of {file.name}",
            class_name,
            MaskValues(file, (value,), kind),
            class_name[0],
        )
        for value, class_name in named
        if class_name[1] is not None
    ]
    for value, (object_name, part_name) in named:
        if part_name is None:
            shape = MaskValues(file, tuple(v for v, other in named if other[0] == object_name), kind)
            label = f"{_noun(meaning)} {_spelled(value, meaning)} of {file.name} ({spelled((object_name, None))})"
            annotations.append(Annotation(label, (object_name, None), shape, object_name))
    return annotations, (values.shape[0], values.shape[1])


def _noun(meaning: Meaning) -> str:
    return "colour" if meaning.are_colours else "value"


def _spelled(value: int, meaning: Meaning) -> str:
    return f"#{value:06x}" if meaning.are_colours else str(value)
