"""One image, any class names: `PartSegmenter`."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from ..errors import ConfigurationError, OVPartsError
from ..models.loading import TRAINED_TOY, ModelSource
from ..models.post_processing import ScoreMaps, merge_score_maps
from ..models.processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from ..taxonomy.vocabulary import Vocabulary, VocabularyInput
from ..utils.arguments import check_positive
from ..utils.images import ImageInput, image_name, load_image
from .adapters.base import SegmenterAdapter
from .adapters.loading import has_own_classes
from .advice import advise
from .crops import score_in_crops, unscored
from .engine import Request, predict_scores, prepare_image
from .gating import check_finds_objects, gated_candidates, inside_objects
from .objects import (
    Boxes,
    Masks,
    ObjectMask,
    ObjectSegmenter,
    OpenVocabularyObjectSegmenter,
    PretrainedObjectSegmenter,
    check_one_per_image,
    given_objects,
    validate_object_masks,
    with_regions,
)
from .placement import floating_type, usable_device, wrong_runtime
from .ranking import rank_classes
from .refinement import MaskRefiner, load_with_refiner, regions_of, sharpen
from .result import PartSegmentation

logger = logging.getLogger(__name__)

_VOCABULARIES_KEPT = 16

_Prepared: TypeAlias = tuple[Image.Image, list[ObjectMask] | None, tuple[ObjectMask, ...] | None, Request, bool]
"""An image, RGB and upright; the objects in it, or None for any; the same if each stands for one object only; what the
model is run with, without inputs if it is run with crops of the objects; and whether a pixel may be none of the parts.
"""


class PartSegmenter:
    """Finds parts in images.

    Features of class names are kept: a second image with the same vocabulary costs no text encoding.

    Args:
        model: A model of this library, on the device to be used.
        processor: Its processor.
        object_segmenter: Finds the objects of the vocabulary, if no masks or boxes of them are given; parts are then
            only looked for inside their objects. A model that requires object masks (ZSseg+) needs it. A function (see
            `ObjectSegmenter`); another `PartSegmenter`, whose classes are then the names of the objects; "model": the
            model itself, in the same pass; None: parts are looked for everywhere. "auto" is "model" for a stock
            CLIPSeg and for PartCLIPSeg, which were trained on whole things, and None for others.
        refiner: Makes the parts that were found sharper (see `MaskRefiner`); None: they stay as the model found them.
            Where sharper parts overlap, the one with the higher score wins.

    Example:
        >>> segmenter = PartSegmenter.from_pretrained("models/clipseg-pascal")
        >>> result = segmenter("photo.jpg", {"dog": ["head", "ear", "tail"]})
        >>> result.overlay().save("parts.png")
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: PartSegmentationProcessor | ClosedVocabularyProcessor,
        object_segmenter: ObjectSegmenter | PartSegmenter | Literal["auto", "model"] | None = "auto",
        refiner: MaskRefiner | None = None,
    ) -> None:
        if isinstance(object_segmenter, PartSegmenter):
            object_segmenter = OpenVocabularyObjectSegmenter(object_segmenter)
        elif object_segmenter == "auto":
            object_segmenter = "model" if model.finds_objects_first else None
        self.finds_objects = object_segmenter == "model"
        if self.finds_objects:
            check_finds_objects(model)
        self.model = model.eval()
        self.processor = processor
        self.object_segmenter = None if self.finds_objects else object_segmenter
        self.refiner = refiner
        self._has_advised = False
        self._class_inputs: OrderedDict[tuple[str, ...], dict[str, torch.Tensor]] = OrderedDict()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = TRAINED_TOY,
        device: Any = None,
        dtype: torch.dtype | str | None = None,
        object_segmenter: str | Path | ObjectSegmenter | PartSegmenter | None = "auto",
        *,
        prompt: str | None = None,
        refiner: str | Path | MaskRefiner | None = None,
        class_names: Mapping[str, str] | None = None,
        runtime: str | None = None,
    ) -> PartSegmenter:
        """Loads a model.

        Args:
            name_or_path: A folder or Hub repository that this library wrote; a stock CLIPSeg, which is used as it is
                ("CIDAS/clipseg-rd64-refined"); a segmenter or detector of transformers, such as SAM 3
                (docs/segmenters.md); or one of `TOY_MODELS`, by default the one that knows drawn objects only.
            device: Where it runs; None for the accelerator, if there is one.
            dtype: Of the weights, such as `torch.bfloat16` or "bfloat16"; None for float32.
            object_segmenter: As for `PartSegmenter`, or the name of a model: of this library, whose classes are then
                the names of the objects, or a segmentation model of transformers that knows these names.
            prompt: How a part is put into words: "possessive" ("dog's ear"), "of" ("ear of a dog") or "part" ("ear");
                None for the wording of training, and "possessive" for models of transformers.
            refiner: As for `PartSegmenter`, or the name of a SAM 2 or SAM 3 model, shown where each part is. For a
                detector it makes masks of the boxes, which are filled without it.
            class_names: From the classes of a model of transformers that knows no others to those that are looked for,
                such as `{"Hair": "person's hair"}`; None: to those that are spelled alike.
            runtime: What must run it: "torch", or "onnx" or "openvino" for a folder that `ovparts export` wrote; None
                for what the folder is made for. An export runs on the CPU unless `device` names another.

        Raises:
            ConfigurationError: There is no such model, device or precision, an option is not for this model, or
                `runtime` does not run it.
        """
        best_device, dtype = usable_device(device), floating_type(dtype)
        source = ModelSource(name_or_path)
        made_for = source.runtime
        if runtime not in (None, made_for):
            raise ConfigurationError(wrong_runtime(name_or_path, made_for, runtime))
        own_device = "cpu" if device is None and made_for != "torch" else best_device
        model, processor, refiner = load_with_refiner(source, prompt, refiner, class_names, own_device)
        if not isinstance(model, SegmenterAdapter) and source.starts_at_random:
            logger.warning(
                "%s was not trained for parts: some of its weights are random, and so are its results.", name_or_path
            )
        if isinstance(object_segmenter, str | Path) and object_segmenter not in ("auto", "model"):
            object_segmenter = _load_object_segmenter(str(object_segmenter), best_device)
        return cls(model.to(own_device, dtype), processor, object_segmenter, refiner)

    @overload
    def __call__(
        self, images: ImageInput, parts: VocabularyInput | None = None, **options: Any
    ) -> PartSegmentation: ...

    @overload
    def __call__(
        self, images: Sequence[ImageInput], parts: VocabularyInput | None = None, **options: Any
    ) -> list[PartSegmentation]: ...

    def __call__(
        self,
        images: ImageInput | Sequence[ImageInput],
        parts: VocabularyInput | None = None,
        *,
        object_masks: Masks | Sequence[Masks] | None = None,
        boxes: Boxes | Sequence[Boxes] | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        batch_size: int = 8,
        keep_ranking: bool = False,
    ) -> PartSegmentation | list[PartSegmentation]:
        """Finds parts.

        Args:
            images: An image (see `utils.images.load_image`), or a list of them.
            parts: What to look for: `{"dog": ["head", "ear"]}`, `["dog's head", "dog's ear"]`, free text
                (`["a red door"]`), a `PartTaxonomy`, or "dog: head, ear; bus: wheel"; None for the model's own
                vocabulary.
            object_masks: Masks of the objects by name, (height, width) or (n, height, width) bool. Each pixel of a mask
                then gets one of the object's parts, and others none; an empty list: none was found. For a list of
                images a list.
            boxes: Instead of masks, (left, top, right, bottom) in pixels of the upright image, up to one outside.
            background: Whether a pixel may be none of the classes; None: wherever the model can tell and no masks are
                given, or found by an `object_segmenter`. Only a stock CLIPSeg leaves pixels of found objects empty,
                too: those where each part scores less than 0.3 (`none_threshold` of its configuration).
            threshold: A class must score more than this, from 0 to 1, or the pixel is none.
            top_k: At most so many classes, those with the highest mean scores.
            batch_size: Images, or crops of objects (docs/your_images.md), in a forward pass, where it can take several.
            keep_ranking: Whether a result keeps the best classes of each pixel, for `PartSegmentation.at`.

        Returns:
            A result, or for a list of images a list of results.

        Raises:
            OVPartsError: An image cannot be read, class names or masks do not fit, or the model needs masks.
        """
        options = (background, threshold, top_k, batch_size, keep_ranking)
        if not isinstance(images, Sequence) or isinstance(images, str | bytes):
            return next(self.stream([images], parts, [object_masks], [boxes], *options))
        check_one_per_image(len(images), object_masks=object_masks, boxes=boxes)
        return list(self.stream(images, parts, object_masks, boxes, *options))

    def stream(
        self,
        images: Iterable[ImageInput],
        parts: VocabularyInput | None = None,
        object_masks: Iterable[Masks | None] | None = None,
        boxes: Iterable[Boxes | None] | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        batch_size: int = 1,
        keep_ranking: bool = False,
    ) -> Iterator[PartSegmentation]:
        """As calling the object with a list, for any number of images: results come one after the other."""
        if isinstance(images, str | Path | Image.Image | np.ndarray | torch.Tensor):
            raise ConfigurationError("Several images are streamed: give a list or a generator; of one, make a list.")
        vocabulary = self._vocabulary(parts)
        self._check(background, threshold, top_k, batch_size)
        class_inputs = self._encode(self._names(vocabulary))
        prepared = (
            (image_name(image), self._prepare(image, *regions, vocabulary, background))
            for image, *regions in with_regions(images, object_masks, boxes)
        )
        while batch := list(islice(prepared, batch_size)):
            scores = self._score([each for _, each in batch], vocabulary, class_inputs, batch_size)
            for (name, (image, _, single_objects, _, may_be_none)), maps in zip(batch, scores):
                size, count = image.size[::-1], len(vocabulary.classes)
                score_map = np.empty(size, dtype=np.float16)
                label_map, mean_scores = merge_score_maps(
                    maps, size, count, self.processor.scores, threshold, top_k, score_map
                )
                result = PartSegmentation(
                    image,
                    label_map,
                    vocabulary.classes,
                    mean_scores,
                    objects=single_objects,
                    score_map=score_map,
                    file_name=name,
                )
                if self.refiner is not None:
                    result = self._refine(result, maps, not may_be_none and threshold is None)
                if keep_ranking:
                    ranking = rank_classes(maps, result.label_map, count, self.processor.scores)
                    result = replace(result, ranking=ranking)
                yield result

    def _score(
        self, batch: list[_Prepared], vocabulary: Vocabulary, class_inputs: dict[str, torch.Tensor], batch_size: int
    ) -> list[list[ScoreMaps]]:
        """The scores in each image, of parts in the regions of their objects if these are known."""
        in_crops = self.model.object_crop_margin is not None
        on_whole_images = [request for _, objects, _, request, _ in batch if objects is None or not in_crops]
        scored = iter(predict_scores(self.model, class_inputs, on_whole_images) if on_whole_images else ())
        scores: list[list[ScoreMaps]] = []
        for image, objects, _, request, may_be_none in batch:
            if objects is None:
                maps = next(scored)
                if self._finds_objects_of(vocabulary):
                    maps = inside_objects(maps, vocabulary, image.size[::-1], self.processor.scores, may_be_none)
            else:
                maps = unscored(request) if in_crops else next(scored)
                maps = [of_object._replace(region=mask) for of_object, (_, mask) in zip(maps, objects)]
            scores.append(maps)
        if not in_crops:
            return scores
        images = [image for image, *_ in batch]
        return score_in_crops(self.model, self.processor, class_inputs, images, scores, batch_size)

    def _refine(self, result: PartSegmentation, maps: Sequence[ScoreMaps], keep: bool) -> PartSegmentation:
        """The same parts with sharper borders, inside their objects; scores stay as they are."""
        whole = any(each.region is None for each in maps)
        allowed = None if whole else regions_of([(each.ids, each.region) for each in maps])
        scores = dict(enumerate(result.scores.tolist()))
        label_map = sharpen(result.image, result.label_map, scores, self.refiner, keep, allowed)
        left = np.isin(np.arange(len(result.classes)), label_map)
        return replace(result, label_map=label_map, scores=np.where(left, result.scores, np.float32(0)), score_map=None)

    def prepare(
        self,
        parts: VocabularyInput | None = None,
        background: bool | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> tuple[str, ...]:
        """Checks options, which are those of calling the object, and encodes the class names before any image is there.

        Returns:
            The classes.

        Raises:
            OVPartsError: The vocabulary cannot be read, the model does not take it, or something is out of range.
        """
        self._check(background, threshold, top_k)
        vocabulary = self._vocabulary(parts)
        self._encode(self._names(vocabulary))
        return vocabulary.classes

    # ---- class names -------------------------------------------------------------------------------------------------

    def _vocabulary(self, parts: VocabularyInput | None) -> Vocabulary:
        if parts is None:
            parts = self.model.vocabulary
            if parts is None:
                raise OVPartsError('This model has no vocabulary of its own: name parts, {"dog": ["head", "ear"]}.')
        return Vocabulary.of(parts)

    def _finds_objects_of(self, vocabulary: Vocabulary) -> bool:
        return self.finds_objects and bool(vocabulary.objects)

    def _names(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """What the model is asked for: the classes, and after them the objects that it is to find."""
        return (*vocabulary.classes, *(vocabulary.objects if self.finds_objects else ()))

    def _encode(self, classes: tuple[str, ...]) -> dict[str, torch.Tensor]:
        inputs = self._class_inputs.pop(classes, None)  # one step, for threads that share the object
        if inputs is None:
            with torch.no_grad():
                inputs = self.model.encode_vocabulary(self.processor, classes)
        self._class_inputs[classes] = inputs  # as the latest
        if len(self._class_inputs) > _VOCABULARIES_KEPT:
            self._class_inputs.popitem(last=False)
        return inputs

    def _check(self, background: bool | None, threshold: float | None, top_k: int | None, batch_size: int = 1) -> None:
        if not isinstance(background, bool | np.bool_ | None):
            raise ConfigurationError(f"background is {background!r}; give True, False or None.")
        if background and not self.model.scores_none:
            raise ConfigurationError(
                f"{type(self.model).__name__} has no score of 'none', so background=True is not possible; set "
                "a threshold instead."
            )
        number = isinstance(threshold, Real) and not isinstance(threshold, bool)
        if threshold is not None and not (number and 0 <= threshold <= 1):
            raise ConfigurationError(f"threshold is {threshold!r}; it must lie between 0 and 1.")
        check_positive(top_k=top_k, batch_size=batch_size)

    # ---- images ----------------------------------------------------------------------------------------------------

    def _prepare(
        self,
        image: ImageInput,
        masks: Masks | None,
        boxes: Boxes | None,
        vocabulary: Vocabulary,
        background: bool | None,
    ) -> _Prepared:
        image = load_image(image)
        advice = None if self._has_advised else advise(self.model, image)
        if advice is not None:
            logger.warning(advice)
            self._has_advised = True
        size = (image.height, image.width)
        objects = given_objects(masks, boxes, vocabulary, size)
        single = objects is not None
        if objects is None and self.object_segmenter is not None:
            objects = validate_object_masks(self.object_segmenter(image, vocabulary), vocabulary, size)
            single = len({name for name, _ in objects}) < len(objects)  # or a mask may be all objects of a kind
        required_masks = None
        if self.model.requires_object_masks:
            if objects is None:
                raise ConfigurationError(
                    f"{type(self.model).__name__} requires the mask of each object: give object_masks or boxes, or "
                    "load it with an object_segmenter (`ovparts predict --objects`)."
                )
            required_masks = np.array([mask for _, mask in objects]).reshape(-1, *size)
        finds_objects = objects is None and self._finds_objects_of(vocabulary)
        candidates = [range(len(vocabulary.classes))]
        if objects is not None:
            candidates = [vocabulary.parts_of(name) for name, _ in objects]
        elif finds_objects:
            candidates = gated_candidates(vocabulary)
        if background is None:
            found = finds_objects or (self.object_segmenter is not None and boxes is None)
            may_be_empty = self.model.finds_objects_first and not self.model.fills_objects
            background = masks is None and (not found or may_be_empty)
        may_be_none = background and self.model.scores_none
        in_crops = objects is not None and self.model.object_crop_margin is not None
        inputs = {} if in_crops else prepare_image(self.processor, image, required_masks)
        request = Request(inputs, candidates, may_be_none or finds_objects)
        return image, objects, tuple(objects) if single else None, request, may_be_none


def _load_object_segmenter(name_or_path: str, device: Any) -> ObjectSegmenter:
    try:
        segmenter = None if has_own_classes(name_or_path) else PartSegmenter.from_pretrained(name_or_path, device)
    except ConfigurationError:  # unknown to this library
        segmenter = None
    if segmenter is None:
        return PretrainedObjectSegmenter.load(name_or_path, device=device)
    return OpenVocabularyObjectSegmenter(segmenter)
