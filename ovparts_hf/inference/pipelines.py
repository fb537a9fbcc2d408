"""transformers' `pipeline("part-segmentation", ...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoModelForSemanticSegmentation, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from ..errors import ConfigurationError
from ..utils.images import ImageInput, load_image
from .objects import check_one_per_image
from .segmenter import PartSegmenter

TASK = "part-segmentation"
_OPTIONS = ("parts", "background", "threshold", "top_k")
_REGIONS = ("object_masks", "boxes")


class PartSegmentationPipeline(Pipeline):
    """Finds parts in images: `PartSegmenter` as a pipeline of transformers.

    Options are those of calling a `PartSegmenter`: `parts`, `background`, `threshold` and `top_k`, given when the
    pipeline is made or when it is called, and `object_masks` and `boxes`. Without `parts`, it looks for the model's own
    vocabulary.

    Example:
        >>> import ovparts_hf
        >>> from transformers import pipeline
        >>> segmenter = pipeline("part-segmentation", model="models/clipseg-pascal")
        >>> segmenter("photo.jpg", parts={"dog": ["head", "ear"]})
        [{'score': 0.83, 'label': "dog's head", 'mask': <PIL.Image.Image ...>}, ...]
    """

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise ConfigurationError(
                "Give the pipeline a processor, too: pipeline(..., model=model, processor=processor)."
            )
        self.segmenter = PartSegmenter(self.model, self.processor)

    def __call__(self, inputs: ImageInput | Any, **kwargs: Any) -> list[Any]:
        """Finds parts.

        Args:
            inputs: An image as `PartSegmenter` takes it, or a list, a column of a dataset, a `KeyDataset` or a
                generator of images. Instead of an image, a mapping of `image` to it and of `object_masks` or `boxes`
                to what belongs to it.
            **kwargs: Options of the class, and those of any pipeline (`batch_size`). `object_masks` and `boxes` are
                lists for a list of images.

        Returns:
            For each image, a list with one entry for each class that was found: `label`, `score` (from 0 to 1) and
            `mask`, a PIL image of mode "L" and of the size of the upright image, 255 where the class is.

        Raises:
            OVPartsError: An image cannot be read, class names or masks do not fit, or the model needs masks or class
                names.
        """
        if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes):
            inputs = list(inputs)
            if not inputs:
                return []
        given = {name: kwargs.pop(name) for name in _REGIONS if kwargs.get(name) is not None}
        if given and isinstance(inputs, list):
            check_one_per_image(len(inputs), **given)
            inputs = [
                {"image": image, **dict(zip(given, regions))}
                for image, *regions in zip(inputs, *given.values(), strict=True)
            ]
        elif given:
            inputs = {"image": inputs, **given}
        return super().__call__(inputs, **kwargs)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Saves model and processor, from which the pipeline can be made again."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        unknown = sorted(set(kwargs) - set(_OPTIONS) - set(_REGIONS))
        if unknown:
            raise ConfigurationError(f"The pipeline has no options {unknown}; it has {[*_OPTIONS, *_REGIONS]}.")
        return {}, {name: value for name, value in kwargs.items() if name in _OPTIONS}, {}

    def preprocess(self, inputs: ImageInput | Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(inputs, Mapping):
            inputs = {"image": inputs}
        if "image" not in inputs:
            raise ConfigurationError(f"A mapping needs the key 'image'; this one has {list(inputs)}.")
        return {"image": load_image(inputs["image"]), **{name: inputs.get(name) for name in _REGIONS}}

    def _forward(self, model_inputs: dict[str, Any], **options: Any) -> dict[str, Any]:
        images = model_inputs["image"]
        regions = {name: model_inputs[name] for name in _REGIONS}
        if isinstance(images, list):
            options["batch_size"] = len(images)
        return {"result": self.segmenter(images, **regions, **options)}

    def postprocess(self, model_outputs: dict[str, Any]) -> list[dict[str, Any]]:
        result = model_outputs["result"]
        scores = dict(zip(result.classes, result.scores.tolist()))
        return [
            {"score": scores[name], "label": name, "mask": Image.fromarray(mask).convert("L")}
            for name, mask in result.masks().items()
        ]


def register_pipelines() -> None:
    """Makes `transformers.pipeline` know the task."""
    if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        PIPELINE_REGISTRY.register_pipeline(
            TASK, pipeline_class=PartSegmentationPipeline, pt_model=AutoModelForSemanticSegmentation, type="multimodal"
        )
