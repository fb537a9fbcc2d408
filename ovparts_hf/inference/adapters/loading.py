"""Any segmenter by its name: a model of this library, or an adapter for one of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers

from ...errors import ConfigurationError
from ...models.auto import FAMILIES, config_class
from ...models.loading import ModelSource, hub_errors
from ...models.pretrained import load_pretrained
from .base import AdapterImageProcessor, AdapterProcessor, SegmenterAdapter
from .closed_vocabulary import ClosedVocabularyAdapter, SemanticSegmenter, UniversalSegmenter
from .grounding_dino import GroundingDinoDetector
from .owl import OwlDetector
from .phrased import with_prompt
from .prompts import DEFAULT_PROMPT, check_prompt
from .refiner import Refiner
from .sam3 import Sam3Segmenter

ADAPTERS: tuple[type[SegmenterAdapter], ...] = (
    Sam3Segmenter,
    GroundingDinoDetector,
    OwlDetector,
    SemanticSegmenter,
    UniversalSegmenter,
)


def load_segmenter(
    name_or_path: str | Path | ModelSource,
    prompt: str | None = None,
    refiner: str | Path | None = None,
    class_names: Mapping[str, str] | None = None,
) -> tuple[Any, Any]:
    """Loads a model that finds parts, in evaluation mode, and its processor.

    Args:
        name_or_path: As for `load_model`, or a segmenter or detector of transformers (docs/segmenters.md).
        prompt: The wording of parts, one of `PROMPTS`; None for "possessive", and for the wording that a model of this
            library was trained with.
        refiner: A SAM 2 or SAM 3 model that turns the boxes of a detector into masks; without one they are filled.
        class_names: From the classes of a model with a closed vocabulary to the names that are looked for.

    Raises:
        ConfigurationError: There is no such model, it is of an unknown kind, or an option is not for it.
    """
    source = name_or_path if isinstance(name_or_path, ModelSource) else ModelSource(name_or_path)
    name_or_path = source.name
    adapter = adapter_for(source)
    if adapter is None:
        _refuse(name_or_path, "is a model of this library", class_names=class_names, refiner=refiner)
        model, processor = source.load()
        return model, processor if prompt is None else with_prompt(model, processor, prompt)
    if not issubclass(adapter, ClosedVocabularyAdapter):
        _refuse(name_or_path, "takes any name", class_names=class_names)
    if not adapter.takes_refiner:
        _refuse(name_or_path, "makes masks itself", refiner=refiner)
    prompt = check_prompt(prompt or DEFAULT_PROMPT)
    sharpen, refiner_images = (None, None) if refiner is None else load_refiner(refiner)
    config = source.stored_config
    model = _load(source, adapter.kinds[config.model_type])
    stock = _load_processor(source, adapter.stock_processor)
    options = adapter.image_options.get(config.model_type, {})
    images = AdapterImageProcessor(getattr(stock, "image_processor", stock), refiner_images, options)
    wrapped = adapter(model, sharpen)
    wrapped.set_up(stock, class_names)
    return wrapped.eval(), AdapterProcessor(images, getattr(stock, "tokenizer", None), prompt)


def trained_on(source: ModelSource) -> dict[str, Any] | None:
    """What the configuration of a model of this library says of its training; of another nothing is known."""
    return source.config().trained_on if adapter_for(source) is None else None


def adapter_for(source: ModelSource) -> type[SegmenterAdapter] | None:
    """The adapter that a model needs; None for a model of this library, or one that it builds on.

    Raises:
        ConfigurationError: Neither knows the model.
    """
    config = source.stored_config
    if config is None:
        return None
    own = {kind for family in FAMILIES for kind in (f"ovparts_{family}", config_class(family).base_model_type)}
    if config.model_type in own:
        return None
    for adapter in ADAPTERS:
        if config.model_type in adapter.kinds:
            return adapter
    known = sorted(own | {kind for adapter in ADAPTERS for kind in adapter.kinds})
    raise ConfigurationError(f"{str(source.name)!r} is a {config.model_type!r} model; known are {known}.")


def has_own_classes(name_or_path: str | Path) -> bool:
    """Whether this is a model of transformers that knows its own classes only."""
    adapter = adapter_for(ModelSource(name_or_path))
    return adapter is not None and issubclass(adapter, ClosedVocabularyAdapter)


def takes_any_name(name_or_path: str | Path) -> bool:
    """Whether this is a model of transformers that is asked by text, as it was pretrained."""
    source = ModelSource(name_or_path)
    try:
        adapter = adapter_for(source)
        if adapter is None:
            return source.is_base_model and not source.starts_at_random
    except ConfigurationError:  # there may be other ways to load it
        return False
    return not issubclass(adapter, ClosedVocabularyAdapter)


def load_refiner(name_or_path: str | Path) -> tuple[Refiner, Any]:
    """A refiner, and the image processor that prepares images for it."""
    source = ModelSource(name_or_path)
    kind = source.stored_config.model_type
    if kind not in Refiner.kinds:
        raise ConfigurationError(
            f"{str(name_or_path)!r} is a {kind!r} model; a refiner is one of {sorted(Refiner.kinds)}."
        )
    return Refiner(_load(source, Refiner.kinds[kind])).eval(), _load_processor(source, "AutoImageProcessor")


def _load(source: ModelSource, class_name: str) -> Any:
    """A model of transformers of which every weight is there."""
    with hub_errors(source.name, "weights"):
        kind = getattr(transformers, class_name)
        model, _ = load_pretrained(kind.from_pretrained, source.location, (), dtype="float32")
    model.name_or_path = model.config.name_or_path = source.location  # of a model that is part of another, too
    return model


def _load_processor(source: ModelSource, class_name: str) -> Any:
    with hub_errors(source.name, "processor"):
        return getattr(transformers, class_name).from_pretrained(source.location, trust_remote_code=False)


def _refuse(name_or_path: str | Path, reason: str, **options: Any) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(f"{str(name_or_path)!r} {reason}; leave out {given}.")
