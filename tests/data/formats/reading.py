"""What readers find, in a form that can be compared."""

import numpy as np

from ovparts_hf.data.formats.base import Source, spelled
from ovparts_hf.data.formats.registry import READERS, find_reader

from ..labelled import SIZE


def read(path, format_name=None, **options):
    """The labels of a source without problems."""
    labels = find_reader(Source(str(path), **options), format_name).read(Source(str(path), **options))
    assert not labels.problems, labels.problems
    return labels


def problems(path, format_name, **options):
    """What is wrong with a source, as one text."""
    return "\n".join(READERS[format_name].read(Source(str(path), **options)).problems)


def masks(image, size=SIZE):
    """From the class to the pixels of each annotation, joined: {"dog's ear": (H, W) bool}."""
    found = {}
    for annotation in image.annotations:
        mask = annotation.shape.mask(*size, annotation.name)
        assert mask.shape == size and mask.dtype == bool
        name = spelled(annotation.class_name)
        found[name] = found.get(name, np.zeros(size, bool)) | mask
    return found


def boxes(image, size=SIZE):
    """From the class to (left, top, right, bottom) of its pixels, which must fill that box."""
    found = {}
    for name, mask in masks(image, size).items():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        assert mask[top:bottom, left:right].all()
        found[name] = int(left), int(top), int(right), int(bottom)
    return found
