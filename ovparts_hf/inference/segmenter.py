"""One image, any words: `PartSegmenter`."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from ..errors import ConfigurationError, OVPartsError
from ..models.loading import TRAINED_TOY, ModelSource
from ..models.painting import Layer, paint
from ..models.processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from ..taxonomy.vocabulary import Vocabulary, Words
from ..utils.hub import first_line
from ..utils.images import ImageInput, load_image
from .engine import NO_TTA
from .objects import (
    Boxes,
    FoundObject,
    Masks,
    ObjectFinder,
    PipelineFinder,
    WordFinder,
    check_one_for_each,
    found_objects,
    given_objects,
)
from .result import NONE, PartSegmentation

logger = logging.getLogger(__name__)

_VOCABULARIES_KEPT = 16


@dataclass(frozen=True)
class _Asked:
    """What is asked about one image.

    Attributes:
        image: RGB and upright.
        objects: Those in it, or None if nothing is known.
        inputs: What the model sees, with a batch dimension.
        may_be_none: Whether there can be pixels of no part where parts are looked for.
    """

    image: Image.Image
    objects: list[FoundObject] | None
    inputs: dict[str, torch.Tensor]
    may_be_none: bool


class PartSegmenter:
    """Finds parts in images.

    Features of class names are kept: a second image with the same words costs no text encoding.

    Args:
        model: A model of this library, on the device to be used.
        processor: Its processor.
        object_segmenter: Finds the objects whose parts are asked for, if no masks or boxes of them are given; parts are
            then only looked for inside their objects. A model that must be told an object's mask (ZSseg+) needs it.
            A function (see `ObjectFinder`), or another `PartSegmenter`, which is then asked for whole objects.

    Example:
        >>> segmenter = PartSegmenter.from_pretrained("models/clipseg-pascal")
        >>> result = segmenter("photo.jpg", {"dog": ["head", "ear", "tail"]})
        >>> result.overlay().save("parts.png")
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: PartSegmentationProcessor | ClosedVocabularyProcessor,
        object_segmenter: ObjectFinder | PartSegmenter | None = None,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        found_by_words = isinstance(object_segmenter, PartSegmenter)
        self.object_segmenter = WordFinder(object_segmenter) if found_by_words else object_segmenter
        self._words: OrderedDict[tuple[str, ...], dict[str, torch.Tensor]] = OrderedDict()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = TRAINED_TOY,
        device: Any = None,
        dtype: torch.dtype | str | None = None,
        object_segmenter: str | Path | ObjectFinder | PartSegmenter | None = None,
    ) -> PartSegmenter:
        """Loads a model.

        Args:
            name_or_path: A folder or Hub repository that this library wrote, a stock model (an untrained beginning), or
                one of `TOY_MODELS`; by default the toy model, which knows drawn objects only.
            device: Where it runs; None for the accelerator, if there is one.
            dtype: Of the weights, such as `torch.bfloat16` or "bfloat16"; None for float32.
            object_segmenter: As for `PartSegmenter`, or the name of a model: of this library, which is then asked for
                whole objects, or a segmentation model of transformers that knows their names.

        Raises:
            ConfigurationError: There is no such model, or no such device or precision.
        """
        device, dtype = _usable_device(device), _floating(dtype)
        source = ModelSource(name_or_path)
        model, processor = source.load()
        if source.is_base_model:
            logger.warning(
                "%s was not trained for parts: some of its weights are random, and so are answers.", name_or_path
            )
        if isinstance(object_segmenter, str | Path):
            object_segmenter = _load_finder(str(object_segmenter), device)
        return cls(model.to(device, dtype), processor, object_segmenter)

    def __call__(
        self,
        images: ImageInput | Sequence[ImageInput],
        parts: Words | None = None,
        *,
        object_masks: Masks | Sequence[Masks] | None = None,
        boxes: Boxes | Sequence[Boxes] | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        batch_size: int = 8,
    ) -> PartSegmentation | list[PartSegmentation]:
        """Finds parts.

        Args:
            images: An image (see `images.load_image`), or a list of them.
            parts: What to look for: `{"dog": ["head", "ear"]}`, `["dog's head", "dog's ear"]`, free words, a
                `PartTaxonomy`, or "dog: head, ear; bus: wheel"; None for the model's own vocabulary.
            object_masks: Masks of the objects by name, (height, width) or (n, height, width) bool. Each pixel of a mask
                then gets one of the object's parts, and others none. For a list of images a list.
            boxes: Instead of masks, (left, top, right, bottom) in pixels of the upright image.
            background: Whether a pixel may be none of the classes; None: wherever the model can tell and no masks are
                given.
            threshold: A class must score more than this, from 0 to 1, or the pixel is none.
            top_k: How many classes may be answered; those with the highest scores.
            batch_size: Images in a forward pass, where the model can take several.

        Returns:
            A result, or for a list of images a list of results.

        Raises:
            OVPartsError: An image cannot be read, words or masks do not fit, or the model needs masks.
        """
        if not isinstance(images, Sequence) or isinstance(images, str | bytes):
            images, object_masks, boxes = [images], [object_masks], [boxes]
            [result] = self.stream(images, parts, object_masks, boxes, background, threshold, top_k)
            return result
        check_one_for_each(len(images), object_masks=object_masks, boxes=boxes)
        return list(self.stream(images, parts, object_masks, boxes, background, threshold, top_k, batch_size))

    def stream(
        self,
        images: Iterable[ImageInput],
        parts: Words | None = None,
        object_masks: Iterable[Masks | None] | None = None,
        boxes: Iterable[Boxes | None] | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        batch_size: int = 1,
    ) -> Iterator[PartSegmentation]:
        """As calling the object with a list, for any number of images: results come one after the other."""
        if isinstance(images, str | Path | Image.Image | np.ndarray):
            raise ConfigurationError("Several images are streamed: give a list or a generator; of one, make a list.")
        vocabulary = self._vocabulary(parts)
        self._check(background, threshold, top_k, batch_size)
        words = self._encode(vocabulary.classes)
        requests = (self._ask(*each, vocabulary) for each in _with_regions(images, object_masks, boxes))
        while batch := list(islice(requests, batch_size)):
            for group in _same_shape(batch, self.model.requires_object_masks):
                for asked, layers in zip(group, self._score(group, vocabulary, words, background)):
                    size = (asked.image.height, asked.image.width)
                    painted = paint(layers, size, len(vocabulary.classes), self.processor, threshold, top_k)
                    yield PartSegmentation(asked.image, painted[0], vocabulary.classes, painted[1])

    def prepare(
        self,
        parts: Words | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> tuple[str, ...]:
        """Checks what will be asked and encodes the words, before any image is there.

        Args:
            parts: As for calling the object.
            background: Likewise.
            threshold: Likewise.
            top_k: Likewise.

        Returns:
            The classes.

        Raises:
            OVPartsError: The words cannot be understood, or the model does not take them, or something is out of range.
        """
        self._check(background, threshold, top_k)
        vocabulary = self._vocabulary(parts)
        self._encode(vocabulary.classes)
        return vocabulary.classes

    # ---- words -------------------------------------------------------------------------------------------------------

    def _vocabulary(self, parts: Words | None) -> Vocabulary:
        if parts is None:
            parts = self.model.vocabulary
            if parts is None:
                raise OVPartsError('This model has no vocabulary of its own: name parts, {"dog": ["head", "ear"]}.')
        return Vocabulary.of(parts)

    def _encode(self, classes: tuple[str, ...]) -> dict[str, torch.Tensor]:
        words = self._words.pop(classes, None)  # one step, for threads that share the object
        if words is None:
            with torch.no_grad():
                words = self.model.encode_vocabulary(self.processor, classes)
        self._words[classes] = words  # as the latest
        if len(self._words) > _VOCABULARIES_KEPT:
            self._words.popitem(last=False)
        return words

    def _check(self, background: bool | None, threshold: float | None, top_k: int | None, batch_size: int = 1) -> None:
        if background and not self.model.scores_none:
            raise ConfigurationError(
                f"{type(self.model).__name__} has no score of 'none', so background=True cannot be had; set a "
                "threshold instead."
            )
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigurationError(f"threshold is {threshold}; it must lie between 0 and 1.")
        if top_k is not None and top_k < 1:
            raise ConfigurationError(f"top_k is {top_k}; it must be at least 1.")
        if batch_size < 1:
            raise ConfigurationError(f"batch_size is {batch_size}; it must be at least 1.")

    # ---- images ----------------------------------------------------------------------------------------------------

    def _ask(self, image: ImageInput, masks: Masks | None, boxes: Boxes | None, vocabulary: Vocabulary) -> _Asked:
        image = load_image(image)
        objects = given_objects(masks, boxes, vocabulary, (image.height, image.width))
        if objects is None and self.object_segmenter is not None:
            objects = found_objects(self.object_segmenter(image, vocabulary), vocabulary, (image.height, image.width))
        shown = None
        if self.model.requires_object_masks:
            if objects is None:
                raise ConfigurationError(
                    f"{type(self.model).__name__} answers only for an object whose mask it is told: give object_masks "
                    "or boxes, or load it with an object_segmenter (`ovparts predict --objects`)."
                )
            shown = np.array([each.mask for each in objects]).reshape(-1, image.height, image.width)
        [view] = NO_TTA.views(self.processor, image, shown)
        return _Asked(image, objects, view.inputs, objects is None or boxes is not None)

    @torch.no_grad()
    def _score(
        self, group: list[_Asked], vocabulary: Vocabulary, words: dict[str, torch.Tensor], background: bool | None
    ) -> list[list[Layer]]:
        """The competing scores of each image, whose size the model chooses; the group goes through it together."""
        everything = range(len(vocabulary.classes))
        candidates = [
            [everything] if asked.objects is None else [vocabulary.parts_of(each.name) for each in asked.objects]
            for asked in group
        ]
        rows = (
            candidates[0] if self.model.requires_object_masks else [sorted(set().union(*each)) for each in candidates]
        )
        if not any(rows):  # no object was found
            return [[] for _ in group]
        may_be_none = [
            self.model.scores_none and (asked.may_be_none if background is None else background) for asked in group
        ]
        class_mask = torch.zeros(len(rows), len(everything), dtype=torch.bool, device=self.model.device)
        for row, allowed in enumerate(rows):
            class_mask[row, list(allowed)] = True
        inputs = {name: torch.cat([asked.inputs[name] for asked in group]) for name in group[0].inputs}
        inputs = {name: tensor.to(self.model.device, self.model.dtype) for name, tensor in inputs.items()}
        if class_mask.all():
            class_mask = None
        outputs = self.model(**inputs, **words, class_mask=class_mask, include_none=any(may_be_none))

        layers = []
        for number, (asked, choices) in enumerate(zip(group, candidates)):
            of_image = []
            for each, ids in enumerate(choices):
                row = each if self.model.requires_object_masks else number
                logits = outputs.logits[row, list(ids)].float()
                if may_be_none[number]:
                    logits, ids = torch.cat([logits, outputs.none_logits[row].float()]), (*ids, NONE)
                of_image.append(Layer(logits, tuple(ids), asked.objects[each].mask if asked.objects else None))
            layers.append(of_image)
        return layers


def _with_regions(
    images: Iterable[ImageInput], object_masks: Iterable[Masks | None] | None, boxes: Iterable[Boxes | None] | None
) -> Iterator[tuple[ImageInput, Masks | None, Boxes | None]]:
    """Each image with what belongs to it."""
    masks = repeat(None) if object_masks is None else iter(object_masks)
    regions = repeat(None) if boxes is None else iter(boxes)
    for image in images:
        try:
            together = image, next(masks), next(regions)
        except StopIteration:
            raise ConfigurationError("There are more images than object_masks or boxes; give each its own.") from None
        yield together


def _same_shape(batch: list[_Asked], one_by_one: bool) -> list[list[_Asked]]:
    """Images that can go through the model together."""
    if one_by_one or len({asked.inputs["pixel_values"].shape for asked in batch}) > 1:
        return [[asked] for asked in batch]
    return [batch]


def _usable_device(device: Any) -> Any:
    if device is None:
        return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = first_line(error)
        raise ConfigurationError(
            f"The device {device!r} cannot be used here ({reason}). Name another, or none for the best there is."
        ) from error
    return device


def _floating(dtype: torch.dtype | str | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise ConfigurationError(f"dtype is {dtype!r}; give float32, bfloat16 or float16.")
    return found


def _load_finder(name_or_path: str, device: Any) -> ObjectFinder:
    try:
        segmenter = PartSegmenter.from_pretrained(name_or_path, device)
    except ConfigurationError:  # none of this library
        return PipelineFinder(name_or_path, device)
    return WordFinder(segmenter)
