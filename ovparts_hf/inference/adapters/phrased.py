"""Another wording of parts for the models of this library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature

from ...errors import ConfigurationError
from ...models.modeling_utils import PartSegmentationModel
from ...models.processing import PartSegmentationProcessor
from .prompts import check_prompt, phrase


class PhrasedProcessor(PartSegmentationProcessor):
    """The processor of an open-vocabulary model that puts parts in another of `PROMPTS`, then into its templates."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, prompt: str = "possessive", **kwargs: Any):
        super().__init__(image_processor, tokenizer, possessive=True, **kwargs)
        self.prompt = prompt

    def __call__(self, images: Any = None, classes: Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """See `PartSegmentationProcessor`."""
        if isinstance(classes, list | tuple):
            classes = [phrase(name, self.prompt) if isinstance(name, str) else name for name in classes]
        return super().__call__(images, classes, **kwargs)


def with_prompt(model: PartSegmentationModel, processor: Any, prompt: str) -> PhrasedProcessor:
    """A processor with this wording for a model of this library, whose own vocabulary is encoded anew.

    Raises:
        ConfigurationError: The model's wording cannot be chosen.
    """
    check_prompt(prompt)
    if not isinstance(processor, PartSegmentationProcessor):
        raise ConfigurationError(f"{type(model).__name__} knows its own classes only: there is no prompt to choose.")
    if processor.prompt_lengths is not None:
        raise ConfigurationError("This model has learned its prompts, which fix the wording; leave out prompt.")
    phrased = PhrasedProcessor(
        processor.image_processor, processor.tokenizer, prompt, templates=processor.templates, scores=processor.scores
    )
    own = model.vocabulary
    model.forget_vocabulary()
    if own is not None:
        model.store_vocabulary(phrased, own, progress=False)
    return phrased
