"""Models by name: saved ones, the stock models that training starts from, and the toy weights of this package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from .auto import FAMILIES
from .errors import ConfigurationError
from .models.catseg.image_processing_catseg import CATSegImageProcessor
from .models.catseg.templates import IMAGENET_TEMPLATES
from .processing import PartSegmentationProcessor

TOY_FOLDER = resources.files(__package__) / "toy"
TOY_MODELS = ("toy", "toy-catseg")
"""Small models in this package: a pretrained CLIPSeg, and a CATSeg of which only the CLIP is pretrained."""


@dataclass(frozen=True)
class _Source:
    """Where a model comes from, and what is set differently.

    Attributes:
        location: Folder or Hub repository.
        family: What a stock model becomes; None: whatever fits.
        config: Fields of the configuration.
        processor: Arguments of the processor of a stock model.
    """

    location: str
    family: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)


def load_config(name_or_path: str | Path, family: str | None = None, **overrides: Any) -> PreTrainedConfig:
    """Reads the configuration of a part segmentation model, or derives it from that of a stock model.

    Args:
        name_or_path: A folder, a Hub repository, or one of `TOY_MODELS`.
        family: Which family a stock model is to become, if several can start from it.
        **overrides: Configuration fields to set.

    Raises:
        ConfigurationError: There is no such model, or it is of a kind that this library does not build on.
    """
    source = _locate(name_or_path, family)
    config = _read_config(name_or_path, source)
    if type(config) not in _own_configs():
        config = _from_stock(name_or_path, config, source)
    elif family is not None and type(config) is not FAMILIES[family].config:
        raise ConfigurationError(f"{name_or_path!r} is a {config.model_type!r} model, not a {family!r} model.")
    for key, value in overrides.items():
        if not hasattr(config, key):
            raise ConfigurationError(f"{type(config).__name__} has no field {key!r}.")
        setattr(config, key, value)
    try:
        config.validate()
    except StrictDataclassClassValidationError as error:
        raise ConfigurationError(str(error.__cause__)) from error
    return config


def load_model(
    name_or_path: str | Path, family: str | None = None, **overrides: Any
) -> tuple[PreTrainedModel, PartSegmentationProcessor]:
    """Loads a model, in evaluation mode, and its processor.

    Args:
        name_or_path: As in `load_config`. Parts that a stock model lacks start at random (seed them with
            `torch.manual_seed`).
        family: As in `load_config`.
        **overrides: Configuration fields to set.

    Raises:
        ConfigurationError: As in `load_config`.
    """
    config = load_config(name_or_path, family, **overrides)
    [model_class] = [each.model for each in FAMILIES.values() if each.config is type(config)]
    location = _locate(name_or_path, family).location
    with _without_load_report():
        model = model_class.from_pretrained(location, config=config, dtype="float32")
    return model.eval(), load_processor(name_or_path, family)


def load_processor(name_or_path: str | Path, family: str | None = None) -> PartSegmentationProcessor:
    """Loads the processor saved with a model of this library, or makes the one for a stock model."""
    source = _locate(name_or_path, family)
    config = load_config(name_or_path, family)
    stock = type(_read_config(name_or_path, source)) not in _own_configs()
    if stock and config.model_type == FAMILIES["catseg"].config.model_type:
        return _catseg_processor(config, source)
    return PartSegmentationProcessor.from_pretrained(source.location)


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keeps transformers from listing every layer that a stock model lacks."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _catseg_processor(config: PreTrainedConfig, source: _Source) -> PartSegmentationProcessor:
    images = CATSegImageProcessor(
        size={"height": config.image_size, "width": config.image_size},
        shortest_edge=source.processor.get("shortest_edge", 640),
        longest_edge=source.processor.get("longest_edge", 768),
        canvas_size=source.processor.get("canvas_size", 640),
        image_mean=config.image_mean,
        image_std=config.image_std,
    )
    templates = source.processor.get("templates", IMAGENET_TEMPLATES)
    tokenizer = AutoTokenizer.from_pretrained(source.location)
    possessive = source.processor.get("possessive", True)
    return PartSegmentationProcessor(images, tokenizer, templates, possessive, scores="probabilities")


def _own_configs() -> list[type[PreTrainedConfig]]:
    return [family.config for family in FAMILIES.values()]


def _locate(name_or_path: str | Path, family: str | None = None) -> _Source:
    name = str(name_or_path)
    if name not in TOY_MODELS:
        return _Source(name, family)
    if name == "toy":
        return _Source(str(TOY_FOLDER / "clipseg"))
    family = name.removeprefix("toy-")
    settings = json.loads((TOY_FOLDER / f"{family}.json").read_text(encoding="utf-8"))
    return _Source(str(TOY_FOLDER / "clip"), family, settings["config"], settings["processor"])


def _read_config(name_or_path: str | Path, source: _Source) -> PreTrainedConfig:
    try:
        return AutoConfig.from_pretrained(source.location)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"No model configuration at {name_or_path!r}: {str(error).splitlines()[0]}") from error


def _from_stock(name_or_path: str | Path, config: PreTrainedConfig, source: _Source) -> PreTrainedConfig:
    fitting = [name for name, family in FAMILIES.items() if family.stock == config.model_type]
    chosen = source.family or (fitting[0] if len(fitting) == 1 else None)
    if not fitting or (chosen is not None and chosen not in fitting):
        known = sorted({family.stock for family in FAMILIES.values()} | {c.model_type for c in _own_configs()})
        wanted = "this library" if chosen is None else f"a {chosen!r} model of this library"
        raise ConfigurationError(f"{name_or_path!r} is a {config.model_type!r} model; {wanted} takes {known}.")
    if chosen is None:
        raise ConfigurationError(
            f"{name_or_path!r} is a {config.model_type!r} model; say what to make of it: {fitting}."
        )
    fields = {key: value for key, value in config.to_dict().items() if key not in ("model_type", "architectures")}
    return FAMILIES[chosen].config(**{**fields, **source.config})
