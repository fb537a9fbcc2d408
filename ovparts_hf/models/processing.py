"""From images and class names to the inputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from PIL import Image
from transformers import BatchEncoding, BatchFeature, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs

from ..errors import OVPartsError
from ..taxonomy.part_taxonomy import straight
from ..utils.files import brief, is_unicode
from .configuration_utils import AutoMapped
from .image_processing import PartSegmentationImageProcessor
from .post_processing import SCORES, LabelMaps, SemanticLabelMaps
from .prompts import tokenize_prompts


class _Processor(AutoMapped, LabelMaps, ProcessorMixin):
    """What processors of open and of closed vocabularies are; the first base of each must be a `ProcessorMixin`."""


class PartSegmentationProcessor(_Processor):
    """Image processor and tokenizer of a part segmentation model, and the way back to label maps.

    Args:
        image_processor: One of this library's. Of another of transformers', the settings are kept and the backend
            becomes Pillow.
        tokenizer: The tokenizer of the model's text encoder.
        templates: Sentences with "{}" for a class name, or None to encode the name alone.
        prompt_lengths: Numbers of learned vectors before the object's name, between it and the part's, and after that,
            instead of templates; None for none.
        possessive: Whether "dog's ear" stays as it is; otherwise it becomes "dog ear", as for the benchmark's CLIPSeg.
        scores: One of `SCORES`.
    """

    auto_classes = {"AutoProcessor": "PartSegmentationProcessor"}

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        templates: Sequence[str] | None = None,
        prompt_lengths: Sequence[int] | None = None,
        possessive: bool = False,
        scores: str = "logits",
        **kwargs: Any,
    ):
        if image_processor is not None and not isinstance(image_processor, SemanticLabelMaps):
            settings = image_processor.to_dict()
            settings.pop("image_processor_type", None)
            image_processor = PartSegmentationImageProcessor.from_dict(settings)
        if scores not in SCORES:
            raise OVPartsError(f"scores is {scores!r}; choose one of {list(SCORES)}.")
        if templates is not None and not _are_templates(templates):
            raise OVPartsError(f"templates is {brief(templates)}; give a list of sentences with '{{}}' for the name.")
        self.templates = None if templates is None else list(templates)
        self.prompt_lengths = None if prompt_lengths is None else list(prompt_lengths)
        self.possessive = possessive
        self.scores = scores
        super().__init__(image_processor, tokenizer, **kwargs)

    def __call__(
        self,
        images: Image.Image | Sequence[Any] | None = None,
        classes: Sequence[str] | None = None,
        object_masks: Any = None,
        augmented: bool | None = None,
        text: str | Sequence[str] | None = None,
        **kwargs: Unpack[ProcessingKwargs],
    ) -> BatchFeature:
        """Prepares images, class names or both.

        Args:
            images: An image or a list, as `utils.images.load_image` takes them, or tensors; arrays and tensors are
                uint8 or uint16, with the channels first or last.
            classes: Part classes ("dog's ear"), or any text.
            object_masks: (objects, height, width) bool, the objects of one image, for models that take them.
            augmented: Whether the images come from training augmentation and already have the scale of training.
            text: transformers' name for `classes`, which may also be one string.
            **kwargs: Options of the image processor and of the tokenizer, as for transformers' processors.
                `return_tensors` is "pt" and `padding` "longest" unless given.

        Returns:
            `pixel_values` (batch, 3, size, size) float32, and what else the model takes, for images; `input_ids` and
            `attention_mask` (classes, length) int64 for classes, padded to the longest, or (classes, templates, length)
            if there are templates.

        Raises:
            OVPartsError: Nothing was given, both `classes` and `text` were, or a class name is empty or too long for
                the text encoder.
        """
        if classes is not None and text is not None:
            raise OVPartsError("classes and text were both given, but they are the same; pass classes.")
        if text is not None:
            classes = [text] if isinstance(text, str) else text
        if images is None and classes is None:
            raise OVPartsError("Pass images, classes or both; neither was given.")
        options = self._merge_kwargs(ProcessingKwargs, tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs)
        data: dict[str, Any] = {}
        if images is not None:
            masks = {} if object_masks is None else {"object_masks": object_masks}
            data.update(self.image_processor(images, augmented=augmented, **masks, **options["images_kwargs"]))
        if classes is not None:
            data.update(self._tokenize(classes, **{"return_tensors": "pt", **options["text_kwargs"]}))
        return BatchFeature(data)

    def _check_classes(self, classes: Any) -> list[str]:
        """Class names with straight apostrophes, if they are a list of text."""
        if (
            isinstance(classes, str)
            or not classes
            or not all(isinstance(name, str) and name.strip() and is_unicode(name) for name in classes)
        ):
            raise OVPartsError(
                f"classes must be a list of at least one non-empty string of Unicode, but is {brief(classes)}."
            )
        return [straight(name) for name in classes]

    def _tokenize(self, classes: Sequence[str], return_tensors: str | None, **options: Any) -> BatchEncoding:
        classes = self._check_classes(classes)
        if self.prompt_lengths is not None:
            tokens = BatchEncoding(tokenize_prompts(self.tokenizer, classes, *self.prompt_lengths))
            return tokens.convert_to_tensors(return_tensors)
        names = classes if self.possessive else [name.replace("'s", "") for name in classes]
        prompts = [template.replace("{}", name) for name in names for template in self.templates or ("{}",)]
        tokens = self.tokenizer(prompts, **{"padding": "longest", "verbose": False, **options})
        limit, longest = self.tokenizer.model_max_length, max(map(len, tokens["input_ids"]))
        if longest > limit:
            lengths = [len(ids) for ids in self.tokenizer(prompts, verbose=False)["input_ids"]]
            prompt = prompts[lengths.index(max(lengths))]
            raise OVPartsError(
                f"Class {prompt[:80]!r} has {longest} tokens; the text encoder takes at most {limit}. Shorten it."
            )
        if self.templates is not None:
            count = len(self.templates)
            tokens = BatchEncoding(
                {key: [rows[i : i + count] for i in range(0, len(rows), count)] for key, rows in tokens.items()}
            )
        return tokens.convert_to_tensors(return_tensors)


def _are_templates(templates: Any) -> bool:
    """Whether these are sentences with a place for a name."""
    return (
        isinstance(templates, list | tuple)
        and len(templates) > 0
        and all(isinstance(template, str) and "{}" in template for template in templates)
    )


class ClosedVocabularyProcessor(_Processor):
    """Image processor of a model that knows its classes by number, and the way back to label maps.

    Args:
        image_processor: Prepares its images.
        scores: One of `SCORES`.
    """

    auto_classes = {"AutoProcessor": "ClosedVocabularyProcessor"}

    def __init__(self, image_processor: Any = None, scores: str = "plain", **kwargs: Any):
        self.scores = scores
        super().__init__(image_processor, **kwargs)

    def __call__(self, images: Any, augmented: bool | None = None, **kwargs: Unpack[ProcessingKwargs]) -> BatchFeature:
        """Prepares images, see `PartSegmentationProcessor`."""
        options = self._merge_kwargs(ProcessingKwargs, **kwargs)["images_kwargs"]
        return self.image_processor(images, augmented=augmented, **options)
