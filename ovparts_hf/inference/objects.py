"""Where the objects of an image are, as a user or another model says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from PIL import Image
from transformers import pipeline

from ..errors import ConfigurationError
from ..evaluation.objects import SegmenterObjects
from ..evaluation.whole_images import refuse_object_masks
from ..taxonomy import PartTaxonomy
from ..taxonomy.vocabulary import Vocabulary
from ..utils.hub import first_line

Masks: TypeAlias = "Mapping[str, np.ndarray] | np.ndarray"
"""By object (height, width) bool, or (n, height, width) for several of it. An only object needs no name."""
Boxes: TypeAlias = "Mapping[str, Sequence[Any]] | Sequence[Any]"
"""Likewise (left, top, right, bottom) in pixels, or a list of them."""
NO_OBJECTS = 'Objects are looked for by their names, and free words have none: name parts as "dog\'s head".'


class FoundObject(NamedTuple):
    """One object of an image.

    Attributes:
        name: What it is.
        mask: (height, width) bool.
    """

    name: str
    mask: np.ndarray


class ObjectFinder(Protocol):
    """Finds objects by their names: any function like this."""

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[FoundObject]:
        """The objects of a vocabulary (`vocabulary.objects`) that are in an image, each with its name and mask."""


def check_one_for_each(count: int, **regions: Any) -> None:
    """Makes sure that a list of images comes with as long a list of each kind of regions.

    Args:
        count: How many images there are.
        **regions: `object_masks`, `boxes`; None counts as not given.

    Raises:
        ConfigurationError: Something is no list, or of another length.
    """
    for name, given in regions.items():
        if given is not None and (not isinstance(given, list | tuple) or len(given) != count):
            raise ConfigurationError(f"For {count} images, give a list of {count} {name}.")


def given_objects(
    masks: Masks | None, boxes: Boxes | None, vocabulary: Vocabulary, size: tuple[int, int]
) -> list[FoundObject] | None:
    """Brings masks or boxes into one form.

    Args:
        masks: See `Masks`.
        boxes: See `Boxes`.
        vocabulary: Whose objects they are.
        size: (height, width) of the image.

    Returns:
        The objects, or None if neither was given.

    Raises:
        OVPartsError: Both were given, an object is unknown, or a mask or box does not fit the image.
    """
    if masks is None and boxes is None:
        return None
    if masks is not None and boxes is not None:
        raise ConfigurationError("object_masks and boxes say the same; give one of them.")
    found = []
    for name, value in _by_name(masks if boxes is None else boxes, vocabulary).items():
        vocabulary.parts_of(name)
        regions = _masks(name, value, size) if boxes is None else _box_masks(name, value, size)
        found += [FoundObject(name, region) for region in regions]
    return found


def found_objects(found: Any, vocabulary: Vocabulary, size: tuple[int, int]) -> list[FoundObject]:
    """Checks what an `ObjectFinder` returned, as that may be a user's function.

    Args:
        found: A list of names and masks, or `Masks` by name.
        vocabulary: Whose objects they are.
        size: (height, width) of the image.

    Raises:
        OVPartsError: It is something else, an object is unknown, or a mask does not fit the image.
    """
    try:
        pairs = [(name, mask) for name, mask in (found.items() if isinstance(found, Mapping) else found)]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"An object_segmenter must return a list of (name, mask); this one returned {type(found).__name__}."
        ) from error
    for name, _ in pairs:
        vocabulary.parts_of(name)
    return [FoundObject(name, mask) for name, value in pairs for mask in _masks(name, value, size)]


def _by_name(given: Any, vocabulary: Vocabulary) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if len(vocabulary.objects) != 1:
        raise ConfigurationError(
            f"Say which object each mask or box is: give a mapping from {list(vocabulary.objects)} to them."
        )
    return {next(iter(vocabulary.objects)): given}


def _masks(name: str, value: Any, size: tuple[int, int]) -> list[np.ndarray]:
    masks = np.asarray(value)
    if masks.shape[-2:] != tuple(size) or masks.ndim not in (2, 3):
        raise ConfigurationError(
            f"The mask of {name!r} has shape {masks.shape}; the image, turned upright, has (height, width) "
            f"{tuple(size)}, and a mask or a stack of masks must fit it."
        )
    return list(masks.reshape(-1, *size) > 0)


def _box_masks(name: str, value: Any, size: tuple[int, int]) -> list[np.ndarray]:
    try:
        boxes = np.asarray(value, dtype=float)
    except (TypeError, ValueError):  # words, or boxes of different lengths
        boxes = np.empty(0)
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4 or not np.isfinite(boxes).all():
        raise ConfigurationError(f"The box of {name!r} is {value!r}; give (left, top, right, bottom), or several.")
    height, width = size
    regions = []
    for left, top, right, bottom in np.rint(boxes.reshape(-1, 4)).astype(int).tolist():
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ConfigurationError(
                f"The box {(left, top, right, bottom)} of {name!r} is empty or leaves the image, which is {width} "
                f"wide and {height} high."
            )
        region = np.zeros(size, dtype=bool)
        region[top:bottom, left:right] = True
        regions.append(region)
    return regions


class WordFinder:
    """Objects found by an open-vocabulary model that is asked for their names.

    Args:
        segmenter: A `PartSegmenter` whose model can say "none".

    Raises:
        ConfigurationError: It cannot, and would find an object everywhere; or it needs to be told objects itself.
    """

    def __init__(self, segmenter: Any) -> None:
        model = segmenter.model
        refuse_object_masks(model)
        if not model.scores_none:
            raise ConfigurationError(
                f"{type(model).__name__} has no score of 'none', so it would find an object everywhere; take another "
                "model to find objects."
            )
        self.segmenter = segmenter

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[FoundObject]:
        """See `ObjectFinder`."""
        if not vocabulary.objects:
            raise ConfigurationError(NO_OBJECTS)
        found = self.segmenter(image, list(vocabulary.objects))
        return [FoundObject(name, mask) for name, mask in found.masks().items()]


class PipelineFinder:
    """Objects found by a semantic, instance or panoptic segmentation model of transformers.

    Args:
        name_or_path: Its folder or Hub id. Its classes are matched with the objects' names, ignoring case.
        device: Where it runs.

    Raises:
        ConfigurationError: There is no such model, or it segments no images.
    """

    def __init__(self, name_or_path: str, device: Any = None) -> None:
        try:
            self.segmenter = pipeline("image-segmentation", model=name_or_path, device=device)
        except (OSError, ValueError, KeyError) as error:
            reason = first_line(error)
            raise ConfigurationError(f"{name_or_path!r} is not a model that finds objects: {reason}") from error
        self.name = name_or_path

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[FoundObject]:
        """See `ObjectFinder`.

        Raises:
            ConfigurationError: The model knows none of the objects.
        """
        if not vocabulary.objects:
            raise ConfigurationError(NO_OBJECTS)
        parts = [vocabulary.classes[i] for ids in vocabulary.objects.values() for i in ids]
        taxonomy = PartTaxonomy.from_part_classes(parts)
        labels = list(self.segmenter.model.config.id2label.values())
        found = SegmenterObjects(self.segmenter, labels, taxonomy, name=self.name).find_in(image)
        masks = ((name, found == i) for i, name in enumerate(taxonomy.object_classes))
        return [FoundObject(name, mask) for name, mask in masks if mask.any()]
