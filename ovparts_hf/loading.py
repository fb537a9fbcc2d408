"""Models by name: saved ones, the stock models that training starts from, and the toy weights of this package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from .auto import MODELS
from .errors import ConfigurationError
from .models.clipseg import CLIPSegPartConfig
from .processing import PartSegmentationProcessor

TOY_MODELS = {"toy": "clipseg"}
STOCK_MODELS = {"clipseg": CLIPSegPartConfig}
"""transformers `model_type` -> our configuration with the same base."""


def load_config(name_or_path: str | Path, **overrides: Any) -> PreTrainedConfig:
    """Reads the configuration of a part segmentation model, or derives it from that of a stock model.

    Args:
        name_or_path: A folder, a Hub repository, or "toy" for the small pretrained CLIPSeg in this package.
        **overrides: Configuration fields to set.

    Raises:
        ConfigurationError: There is no such model, or it is of a kind that this library does not build on.
    """
    location = _locate(name_or_path)
    try:
        config = AutoConfig.from_pretrained(location)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"No model configuration at {name_or_path!r}: {str(error).splitlines()[0]}") from error
    if config.model_type in STOCK_MODELS:
        fields = {key: value for key, value in config.to_dict().items() if key not in ("model_type", "architectures")}
        config = STOCK_MODELS[config.model_type](**fields)
    if type(config) not in MODELS:
        known = sorted([*STOCK_MODELS, *(kind.model_type for kind in MODELS)])
        raise ConfigurationError(f"{name_or_path!r} is a {config.model_type!r} model; this library takes {known}.")
    for key, value in overrides.items():
        if not hasattr(config, key):
            raise ConfigurationError(f"{type(config).__name__} has no field {key!r}.")
        setattr(config, key, value)
    try:
        config.validate()
    except StrictDataclassClassValidationError as error:
        raise ConfigurationError(str(error.__cause__)) from error
    return config


def load_model(name_or_path: str | Path, **overrides: Any) -> tuple[PreTrainedModel, PartSegmentationProcessor]:
    """Loads a model, in evaluation mode, and its processor.

    Args:
        name_or_path: As in `load_config`. Parts that a stock model lacks start at random (seed them with
            `torch.manual_seed`).
        **overrides: Configuration fields to set.

    Raises:
        ConfigurationError: As in `load_config`.
    """
    config = load_config(name_or_path, **overrides)
    model = MODELS[type(config)].from_pretrained(_locate(name_or_path), config=config, dtype="float32")
    return model.eval(), load_processor(name_or_path)


def load_processor(name_or_path: str | Path) -> PartSegmentationProcessor:
    """Loads the processor saved with a model (ours or a stock one)."""
    return PartSegmentationProcessor.from_pretrained(_locate(name_or_path))


def _locate(name_or_path: str | Path) -> str:
    name = str(name_or_path)
    if name in TOY_MODELS:
        return str(resources.files(__package__) / "toy" / TOY_MODELS[name])
    return name
