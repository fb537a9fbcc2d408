"""Where the objects of an image are: masks and boxes that a user gives, and segmenters that find them by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import transformers
from PIL import Image
from transformers import AutoConfig, AutoModelForSemanticSegmentation, PreTrainedConfig

from ..errors import ConfigurationError, OVPartsError
from ..models.pretrained import load_pretrained
from ..taxonomy.vocabulary import Vocabulary
from ..utils.arguments import binary_mask
from ..utils.files import first_line, user_path
from ..utils.images import ImageInput
from .engine import check_whole_images

Masks: TypeAlias = "Mapping[str, np.ndarray] | np.ndarray"
"""By object (height, width) bool, or (n, height, width) for several of it; an empty list if there is none. The name may
be left out where the vocabulary has a single object."""
Boxes: TypeAlias = "Mapping[str, Sequence[Any]] | Sequence[Any]"
"""Likewise (left, top, right, bottom) in pixels, or a list of them."""


_FAR = 10**9  # pixels, beyond any image


class ObjectMask(NamedTuple):
    """One object of an image, or all objects of one kind, by name: (height, width) bool."""

    name: str
    mask: np.ndarray


class ObjectSegmenter(Protocol):
    """Finds objects by their names: any function like this."""

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[ObjectMask]:
        """The objects of a vocabulary (`vocabulary.objects`) that are in an image, each with its name and mask."""


def check_one_per_image(count: int, **regions: Any) -> None:
    """Refuses `object_masks` or `boxes` (None: not given) that are not a list with one entry for each image."""
    for name, given in regions.items():
        if given is not None and (not isinstance(given, list | tuple) or len(given) != count):
            raise ConfigurationError(f"For {count} images, give a list of {count} {name}.")


def with_regions(
    images: Iterable[ImageInput], object_masks: Iterable[Masks | None] | None, boxes: Iterable[Boxes | None] | None
) -> Iterator[tuple[ImageInput, Masks | None, Boxes | None]]:
    """Each image with its masks and boxes."""
    masks_of_images = repeat(None) if object_masks is None else iter(object_masks)
    boxes_of_images = repeat(None) if boxes is None else iter(boxes)
    for image in images:
        try:
            regions = next(masks_of_images), next(boxes_of_images)
        except StopIteration:
            raise ConfigurationError(
                "There are more images than object_masks or boxes; give one for each image."
            ) from None
        yield image, *regions


def given_objects(
    masks: Masks | None, boxes: Boxes | None, vocabulary: Vocabulary, size: tuple[int, int]
) -> list[ObjectMask] | None:
    """The objects that a user marked in an image of this (height, width); None without masks and boxes."""
    if masks is None and boxes is None:
        return None
    if masks is not None and boxes is not None:
        raise ConfigurationError("object_masks and boxes say the same; give one of them.")
    if boxes is None:
        return validate_object_masks(_by_name(masks, vocabulary), vocabulary, size)
    objects = []
    for name, value in _by_name(boxes, vocabulary).items():
        vocabulary.parts_of(name)
        objects += [ObjectMask(name, mask) for mask in masks_from_boxes(name, value, size)]
    return objects


def validate_object_masks(objects: Any, vocabulary: Vocabulary, size: tuple[int, int]) -> list[ObjectMask]:
    """Checks `Masks` by name, or the list that an `ObjectSegmenter` returned, as that may be a user's function."""
    try:
        pairs = [(name, masks) for name, masks in (objects.items() if isinstance(objects, Mapping) else objects)]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"An object_segmenter must return a list of (name, mask); this one returned {type(objects).__name__}."
        ) from error
    for name, _ in pairs:
        vocabulary.parts_of(name)
    return [ObjectMask(name, mask) for name, masks in pairs for mask in _masks(name, masks, size)]


def masks_from_boxes(name: str, value: Any, size: tuple[int, int]) -> list[np.ndarray]:
    """(height, width) bool for each box of an object; corners are rounded to whole pixels, and clipped by up to one."""
    try:
        boxes = np.asarray(value, dtype=float)
    except (TypeError, ValueError):  # text, or boxes of different lengths
        boxes = np.empty(0)
    if isinstance(value, Sequence | np.ndarray) and boxes.shape == (0,) and len(value) == 0:
        return []
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4 or not np.isfinite(boxes).all():
        raise ConfigurationError(f"The box of {name!r} is {value!r}; give (left, top, right, bottom), or several.")
    height, width = size
    masks = []
    corners = np.rint(boxes.reshape(-1, 4)).clip(-_FAR, _FAR).astype(int)
    inside = np.clip(corners, 0, [width, height, width, height])
    for left, top, right, bottom in np.where(abs(corners - inside) <= 1, inside, corners).tolist():
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ConfigurationError(
                f"The box {(left, top, right, bottom)} of {name!r} is empty or leaves the image, which is {width} "
                f"wide and {height} high."
            )
        mask = np.zeros(size, dtype=bool)
        mask[top:bottom, left:right] = True
        masks.append(mask)
    return masks


def _by_name(given: Any, vocabulary: Vocabulary) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if len(vocabulary.objects) != 1:
        raise ConfigurationError(
            f"Say which object each mask or box is: give a mapping from {list(vocabulary.objects)} to them."
        )
    return {next(iter(vocabulary.objects)): given}


def _masks(name: str, value: Any, size: tuple[int, int]) -> list[np.ndarray]:
    masks = binary_mask(f"mask of {name!r}", value)
    if masks.shape == (0,):  # an empty list: none was found
        return []
    if masks.shape[-2:] != tuple(size) or masks.ndim not in (2, 3):
        raise ConfigurationError(
            f"The mask of {name!r} has shape {masks.shape}; the image, turned upright, has (height, width) "
            f"{tuple(size)}, and a mask or a stack of masks must fit it."
        )
    return list(masks.reshape(-1, *size))


class OpenVocabularyObjectSegmenter:
    """An `ObjectSegmenter`: a `PartSegmenter` whose model can score "none", with names of objects as its classes."""

    def __init__(self, segmenter: Any, name: str | None = None) -> None:
        model = segmenter.model
        check_whole_images(model)
        if not model.scores_none:
            raise ConfigurationError(
                f"{type(model).__name__} has no score of 'none', so it would find an object everywhere. Take the "
                "objects from another model."
            )
        self.segmenter = segmenter
        self.name = name or model.name_or_path

    def __str__(self) -> str:
        return self.name

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[ObjectMask]:
        found = self.segmenter(image, list(_object_names(vocabulary)))
        return [ObjectMask(name, mask) for name, mask in found.masks().items()]


@dataclass(eq=False)
class PretrainedObjectSegmenter:
    """An `ObjectSegmenter`: a pipeline "image-segmentation" of transformers, or anything that is called likewise.

    Segments are taken by ascending score, so that the surest wins where some overlap; those without a score keep their
    order. `objects` leads from the model's classes, `labels`, to objects; None: to those that are spelled alike,
    ignoring case, where "car, auto" names two spellings.
    """

    segmenter: Callable[[Image.Image], Sequence[Mapping[str, Any]]]
    labels: Sequence[str]
    objects: Mapping[str, str] | None = None
    name: str = "a segmenter"

    @classmethod
    def load(
        cls, name_or_path: str, objects: Mapping[str, str] | None = None, device: Any = None
    ) -> PretrainedObjectSegmenter:
        """Loads a segmentation model by its folder or Hub id; weights must be there, whole and finite."""
        from transformers import pipeline  # which registers pipelines, and so imports this module

        name_or_path = str(user_path(name_or_path)) if name_or_path.startswith("~") else name_or_path
        try:
            config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
            load = _segmentation_class(config).from_pretrained
            model, _ = load_pretrained(load, name_or_path, (), config=config, dtype="auto")
            parts = {"image_processor": name_or_path, "tokenizer": name_or_path if "task_seq_len" in config else None}
            segmenter = pipeline("image-segmentation", model, device=device, trust_remote_code=False, **parts)
        except OVPartsError:
            raise
        except (OSError, ValueError, KeyError) as error:
            reason = first_line(error)
            raise ConfigurationError(f"{name_or_path!r} is not a model that finds objects: {reason}") from error
        return cls(segmenter, list(segmenter.model.config.id2label.values()), objects, name_or_path)

    def __str__(self) -> str:
        return self.name

    def __call__(self, image: Image.Image, vocabulary: Vocabulary) -> list[ObjectMask]:
        names = list(_object_names(vocabulary))
        objects = self.match(names)
        object_map = np.full((image.height, image.width), -1)
        for segment in sorted(self.segmenter(image), key=lambda segment: segment["score"] or 0):
            if segment["label"] in objects:
                object_map[binary_mask("mask of a segment", segment["mask"])] = names.index(objects[segment["label"]])
        return [ObjectMask(names[i], object_map == i) for i in np.unique(object_map).tolist() if i >= 0]

    def match(self, names: Collection[str]) -> Mapping[str, str]:
        """From the model's classes to these objects; refuses names that do not fit, and a model that knows none."""
        objects = _spelled_alike(self.labels, names) if self.objects is None else self.objects
        unknown = [label for label in objects if label not in self.labels]
        unknown_objects = [name for name in objects.values() if name not in names]
        if unknown or unknown_objects or not objects:
            raise ConfigurationError(
                f"The classes of {self.name} must be mapped to objects such as {list(names)[:5]}: {len(objects)} are, "
                f"{unknown[:5]} are none of its classes (such as {list(self.labels)[:5]}) and {unknown_objects[:5]} no "
                'objects. Give a mapping like {"automobile": "car"}.'
            )
        return objects


def _segmentation_class(config: PreTrainedConfig) -> Any:
    """What loads a segmentation model with all of its layers: a class of transformers, or of this library."""
    [name] = (config.architectures or [""])[:1]
    return getattr(transformers, name if name.endswith("Segmentation") else "", AutoModelForSemanticSegmentation)


def _object_names(vocabulary: Vocabulary) -> Collection[str]:
    if not vocabulary.objects:
        raise ConfigurationError(
            'Objects are segmented by their names, and free text has none: name parts as "dog\'s head".'
        )
    return vocabulary.objects


def _spelled_alike(labels: Sequence[str], names: Collection[str]) -> dict[str, str]:
    objects = {name.lower(): name for name in names}
    spellings = {label: [spelling.strip().lower() for spelling in label.split(",")] for label in labels}
    return {
        label: objects[spelling] for label in labels for spelling in reversed(spellings[label]) if spelling in objects
    }
