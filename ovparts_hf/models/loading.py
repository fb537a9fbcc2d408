"""Models by name: saved ones, the stock models that training starts from, and the toy weights of this package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HTTPError, StrictDataclassError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, ResNetModel
from transformers.utils import logging

from ..errors import CheckpointError, ConfigurationError
from ..utils.hub import check_readable, explain, first_line
from .auto import FAMILIES
from .checkpoints import read_checkpoint
from .clipseg import CLIPSegPartConfig
from .maskformer import MaskFormerPartConfig
from .processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from .resnet import PartResNet, resnet_state
from .stock_processors import stock_processor

_RESNET_FIELDS = ("embedding_size", "hidden_sizes", "depths", "downsample_in_bottleneck")
TOY_FOLDER = resources.files("ovparts_hf") / "toy"
TRAINED_TOY = "toy-trained"
TOY_MODELS = (TRAINED_TOY, "toy", "toy-catseg", "toy-zsseg", "toy-maskformer")
"""Small models in this package: one trained for parts, a pretrained CLIPSeg, others of which only the CLIP is, and one
that starts anew."""
_TOY_FOLDERS = {TRAINED_TOY: "trained", "toy": "clipseg"}


@dataclass(frozen=True)
class _Source:
    """Where a model comes from, and what is set differently.

    Attributes:
        location: Folder or Hub repository; None for a model without pretrained weights.
        family: What a stock model becomes; None: whatever fits.
        config: Fields of the configuration.
        processor: Arguments of the processor of a stock model.
    """

    location: str | None
    family: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)


def load_config(name_or_path: str | Path | None, family: str | None = None, **overrides: Any) -> PreTrainedConfig:
    """Reads the configuration of a part segmentation model, or derives it from that of a stock model.

    Args:
        name_or_path: A folder, a Hub repository, or one of `TOY_MODELS`; None for a MaskFormer, which needs no stock
            model.
        family: Which family a stock model is to become, if several can start from it.
        **overrides: Configuration fields to set. A mapping for a nested configuration (`backbone_config`) sets the
            fields that it names, and leaves the others.

    Raises:
        ConfigurationError: There is no such model, or it is of a kind that this library does not build on.
    """
    source = _locate(name_or_path, family)
    if source.location is None:
        config = FAMILIES[source.family].config(**source.config)
    elif type(config := _read_config(name_or_path, source)) not in _own_configs():
        config = _from_stock(name_or_path, config, source)
    elif family is not None and type(config) is not FAMILIES[family].config:
        raise ConfigurationError(f"{name_or_path!r} is a {config.model_type!r} model, not a {family!r} model.")
    if not overrides:
        return config
    for key, value in overrides.items():
        _check_field(config, key)
        setattr(config, key, _nested(getattr(config, key), value))
    try:
        return type(config).from_dict(config.to_dict())  # which also checks types
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = error.__cause__ or error
        given = {key: value for key, value in overrides.items() if key not in ("id2label", "label2id")}
        raise ConfigurationError(f"{type(config).__name__} cannot have {given}: {reason}") from error


def _nested(old: Any, value: Any) -> Any:
    """A mapping for a nested configuration sets some of its fields; anything else takes its place."""
    if not (isinstance(old, PreTrainedConfig) and isinstance(value, Mapping)):
        return value
    for key in value:
        _check_field(old, key)
    return {**old.to_dict(), **value}


def _check_field(config: PreTrainedConfig, key: str) -> None:
    if not hasattr(config, key):
        raise ConfigurationError(f"{type(config).__name__} has no field {key!r}.")


def load_model(
    name_or_path: str | Path, family: str | None = None, **overrides: Any
) -> tuple[PreTrainedModel, PartSegmentationProcessor | ClosedVocabularyProcessor]:
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
    source = _locate(name_or_path, family)
    if isinstance(config, MaskFormerPartConfig) and _is_base_model(name_or_path, source):
        model = model_class(config)
        if source.location is not None:
            load_backbone(model, source.location)
    else:
        with _without_load_report(), _explained(name_or_path, "weights"):
            model = model_class.from_pretrained(source.location, config=config, dtype="float32")
    return model.eval(), load_processor(name_or_path, family, config)


def load_processor(
    name_or_path: str | Path | None, family: str | None = None, config: PreTrainedConfig | None = None
) -> PartSegmentationProcessor | ClosedVocabularyProcessor:
    """Loads the processor saved with a model of this library, or makes the one for a stock model.

    Args:
        name_or_path: As in `load_config`.
        family: As in `load_config`.
        config: What a stock model was made into, if not by `load_config` without overrides.
    """
    source = _locate(name_or_path, family)
    config = config or load_config(name_or_path, family)
    if not _is_base_model(name_or_path, source):
        [processor] = [each.processor for each in FAMILIES.values() if each.config is type(config)]
        with _explained(name_or_path, "processor"):
            return processor.from_pretrained(source.location)
    if isinstance(config, CLIPSegPartConfig):
        return PartSegmentationProcessor.from_pretrained(source.location)
    has_words = not isinstance(config, MaskFormerPartConfig)
    tokenizer = AutoTokenizer.from_pretrained(source.location) if has_words else None
    return stock_processor(config, tokenizer, source.processor)


def load_backbone(model: PreTrainedModel, name_or_path: str | Path) -> None:
    """Loads a ResNet trained on ImageNet into a model that has a backbone.

    Args:
        model: ZSseg or MaskFormer, or any other with a `PartResNet`.
        name_or_path: A folder or Hub repository with a ResNet of transformers, such as "microsoft/resnet-50"; or a
            `.pth` or `.safetensors` file with detectron2's names (R101c is not among transformers' models).

    Raises:
        OVPartsError: It cannot be read, or does not fit.
    """
    [backbone] = [module for module in model.modules() if isinstance(module, PartResNet)]
    path = Path(name_or_path)
    if path.is_file():
        tensors = read_checkpoint(path)
    else:
        with _without_load_report():
            tensors = ResNetModel.from_pretrained(str(name_or_path), dtype="float32").state_dict()
    renamed = resnet_state(tensors, backbone.config.deep_stem) if path.is_file() else tensors
    own = backbone.state_dict()
    missing = [name for name in own if name not in renamed or renamed[name].shape != own[name].shape]
    if missing:
        raise CheckpointError(
            f"{name_or_path} does not fit the backbone: {len(missing)} of {len(own)} tensors are missing or have "
            f"another shape, such as {missing[0]}. Choose a ResNet with the depths {backbone.config.depths}."
        )
    backbone.load_state_dict({name: renamed[name] for name in own})


def is_base_model(name_or_path: str | Path) -> bool:
    """Whether a model is one to start training from: it was not trained for parts, and some of it is random."""
    return _is_base_model(name_or_path, _locate(name_or_path))


def _is_base_model(name_or_path: str | Path | None, source: _Source) -> bool:
    return source.location is None or type(_read_config(name_or_path, source)) not in _own_configs()


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keeps transformers from listing every layer that a stock model lacks."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


@contextmanager
def _explained(name_or_path: str | Path, wanted: str) -> Iterator[None]:
    """Turns what transformers raises when it cannot read something, from a folder or from the Hub, into one line."""
    try:
        yield
    except (HTTPError, OSError, ValueError) as error:
        reason = explain(error, str(name_or_path)) or first_line(error)
        raise ConfigurationError(f"No {wanted} at {str(name_or_path)!r}: {reason}") from error


def _own_configs() -> list[type[PreTrainedConfig]]:
    return [family.config for family in FAMILIES.values()]


def _locate(name_or_path: str | Path | None, family: str | None = None) -> _Source:
    if name_or_path is None:
        if family != "maskformer":
            raise ConfigurationError(f"A {family!r} model is built on a stock model: name its folder or Hub id.")
        return _Source(None, family)
    name = str(name_or_path)
    if name not in TOY_MODELS:
        return _Source(name, family)
    if name in _TOY_FOLDERS:
        return _Source(str(TOY_FOLDER / _TOY_FOLDERS[name]))
    family = name.removeprefix("toy-")
    settings = json.loads((TOY_FOLDER / f"{family}.json").read_text(encoding="utf-8"))
    location = None if family == "maskformer" else str(TOY_FOLDER / "clip")
    return _Source(location, family, settings["config"], settings["processor"])


def _read_config(name_or_path: str | Path, source: _Source) -> PreTrainedConfig:
    with _explained(name_or_path, "model configuration"):
        if not Path(source.location).exists():
            check_readable(source.location, "model", "config.json")
        return AutoConfig.from_pretrained(source.location)


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
    if chosen == "maskformer":
        return MaskFormerPartConfig(backbone_config={name: fields[name] for name in _RESNET_FIELDS})
    return FAMILIES[chosen].config(**{**fields, **source.config})
