"""Models by name: saved ones, the pretrained models that training starts from, and the toy weights of this package."""

from __future__ import annotations

import codecs
import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from ..errors import CheckpointError, ConfigurationError
from ..utils.files import brief, user_path
from ..utils.hub import check_readable, first_line, format_hub_error
from ..utils.suggest import did_you_mean
from .auto import FAMILIES, config_class, family_of, model_class
from .configuration_utils import PartSegmentationConfig
from .limits import check_numbers
from .modeling_utils import PartSegmentationModel
from .processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from .timm_resnet import is_timm, timm_config

TOY_FOLDER = resources.files("ovparts_hf") / "toy"
TRAINED_TOY = "toy-trained"
_LISTED = 5
_TOY_FOLDERS = {TRAINED_TOY: "trained", "toy": "clipseg"}
TOY_MODELS = (*_TOY_FOLDERS, *(f"toy-{family}" for family in FAMILIES if (TOY_FOLDER / f"{family}.json").is_file()))
"""Small models in this package: one trained for parts, a pretrained CLIPSeg, and one of each family with settings in
`toy/`, which starts from this CLIPSeg, from the toy CLIP, or anew."""


@dataclass
class ModelSource:
    """Where a model comes from, see `load_model`. Its configuration is read once, whatever is made of it.

    A new model has `fields` besides the configuration of the pretrained one at `location`, which may be None, and its
    processor has `processor_settings`. A pretrained model that can do without what training adds has it only
    `for_training`.
    """

    name: str | Path | None
    family: str | None = None
    for_training: bool = False
    location: str | None = field(init=False)
    fields: dict[str, Any] = field(init=False, default_factory=dict)
    processor_settings: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        name = None if self.name is None else str(self.name)
        self.location = str(user_path(name)) if name and name.startswith("~") else name
        if name is None and (self.family is None or config_class(self.family).requires_base_model):
            raise ConfigurationError(
                f"A {self.family!r} model is built on a pretrained one: name its folder or Hub id."
            )
        if name in _TOY_FOLDERS:
            self.location = str(TOY_FOLDER / _TOY_FOLDERS[name])
        elif name in TOY_MODELS:
            self.family = name.removeprefix("toy-")
            settings = json.loads((TOY_FOLDER / f"{self.family}.json").read_text(encoding="utf-8"))
            self.fields, self.processor_settings = settings["config"], settings["processor"]
            kind = config_class(self.family)
            self.location = str(TOY_FOLDER / kind.base_model_type) if kind.requires_base_model else None

    @cached_property
    def stored_config(self) -> PreTrainedConfig | None:
        """The configuration as it is stored; None without a location."""
        if self.location is None:
            return None
        with hub_errors(self.name, "model configuration"):
            if not Path(self.location).exists():
                check_readable(self.location, "model", "config.json")
            _check_holds_model(Path(self.location))
            stored = PreTrainedConfig.get_config_dict(self.location)[0]
            check_numbers(stored)
            if is_timm(stored):
                return timm_config(stored, self.name)
            return AutoConfig.from_pretrained(self.location, trust_remote_code=False)

    @property
    def is_base_model(self) -> bool:
        """Whether this is a model to start training from: it was not trained for parts."""
        return not isinstance(self.stored_config, PartSegmentationConfig)

    @property
    def starts_at_random(self) -> bool:
        """Whether some weights of the model are random."""
        return self.is_base_model and (self.for_training or not type(self.config()).pretrained_fields)

    @property
    def runtime(self) -> str:
        """What runs this model: "torch", or "onnx" or "openvino" for a folder that `ovparts export` wrote."""
        stored = self.stored_config
        return (stored.export_format if isinstance(stored, PartSegmentationConfig) else None) or "torch"

    def config(self, **overrides: Any) -> PartSegmentationConfig:
        """See `load_config`."""
        stored = self.stored_config
        if stored is None:
            config = config_class(self.family)(**self.fields)
        elif self.is_base_model:
            kind = config_class(self._family_for(stored))
            unchanged = {} if self.for_training else kind.pretrained_fields
            config = kind.from_base_config(stored, **self.fields, **unchanged)
        elif self.family is not None and type(stored) is not config_class(self.family):
            raise ConfigurationError(f"{self.name!r} is a {stored.model_type!r} model, not a {self.family!r} model.")
        else:
            config = stored
        if overrides and self.is_base_model:
            overrides = {**config.undecided, **self.fields, **overrides}
        return _with_overrides(config, overrides) if overrides else config

    def load(self, **overrides: Any) -> tuple[PartSegmentationModel, Any]:
        """See `load_model`."""
        config = self.config(**overrides)
        kind = model_class(family_of(config))
        with hub_errors(self.name, "weights"):
            if config.export_format is not None:
                from .export.loading import load_exported  # imports every family

                model = load_exported(self.location, config)
            elif self.is_base_model:
                model = kind.from_base_model(self.location, config)
            else:
                model = kind.from_pretrained(self.location, config=config, dtype="float32", trust_remote_code=False)
        processor = self.processor(config)
        _check_fit(processor, config, self.name)
        return model.eval(), processor

    def processor(
        self, config: PartSegmentationConfig | None = None
    ) -> PartSegmentationProcessor | ClosedVocabularyProcessor:
        """The processor saved with a model of this library, or the one for `config`, made of a pretrained model."""
        config = config or self.config()
        kind = model_class(family_of(config))
        if self.is_base_model:
            return kind.default_processor(self.location, config, self.processor_settings)
        with hub_errors(self.name, "processor"):
            return kind.processor_class.from_pretrained(self.location, trust_remote_code=False)

    def _family_for(self, base: PreTrainedConfig) -> str:
        """The family that is built on a pretrained model."""
        fitting = [family for family in FAMILIES if config_class(family).base_model_type == base.model_type]
        of_same_name = base.model_type if base.model_type in fitting else None
        family = self.family or (fitting[0] if len(fitting) == 1 else of_same_name)
        if not fitting or (family is not None and family not in fitting):
            classes = [config_class(name) for name in FAMILIES]
            known = sorted({each.base_model_type for each in classes} | {each.model_type for each in classes})
            taker = "this library" if family is None else f"a {family!r} model of this library"
            raise ConfigurationError(f"{self.name!r} is a {base.model_type!r} model; {taker} takes {known}.")
        if family is None:
            raise ConfigurationError(
                f"{self.name!r} is a {base.model_type!r} model; say what to make of it: {fitting}."
            )
        return family


def load_config(
    name_or_path: str | Path | None, family: str | None = None, *, for_training: bool = False, **overrides: Any
) -> PartSegmentationConfig:
    """The configuration of a model, or one derived from that of a pretrained model; see `load_model`."""
    return ModelSource(name_or_path, family, for_training).config(**overrides)


def load_model(
    name_or_path: str | Path, family: str | None = None, *, for_training: bool = False, **overrides: Any
) -> tuple[PartSegmentationModel, PartSegmentationProcessor | ClosedVocabularyProcessor]:
    """Loads a model, in evaluation mode, and its processor.

    Args:
        name_or_path: A folder, a Hub repository, or one of `TOY_MODELS`. A stock CLIPSeg is used as it is: it gives the
            logits of transformers' `CLIPSegForImageSegmentation`, and "none" scores `STOCK_THRESHOLD` (0.3). What
            another pretrained model lacks starts at random (seed it with `torch.manual_seed`).
        family: Which family a pretrained model is to become, if several can be built on it.
        for_training: Whether a stock CLIPSeg gets what training starts from: a visual adapter (`adapter_ratio` 0.2) and
            a "none" row, both at random. The benchmark's rows without fine-tuning have them, too.
        **overrides: Configuration fields to set. A mapping for a nested configuration (`backbone_config`) sets the
            fields that it names, and leaves the others.

    Raises:
        ConfigurationError: There is no such model, or it is of a kind that this library does not build on.
    """
    return ModelSource(name_or_path, family, for_training).load(**overrides)


def _check_fit(processor: Any, config: PartSegmentationConfig, name: str | Path | None) -> None:
    """Refuses a processor whose prompts have other learned vectors than the model."""
    given, own = getattr(processor, "prompt_lengths", None), getattr(config, "prompt_lengths", None)
    if given != (own and list(own)):
        lengths = f"{brief(given)}, its model {brief(own)}"
        raise CheckpointError(f"The processor of {str(name)!r} has prompt_lengths {lengths}. Save both again.")


def _with_overrides(config: PartSegmentationConfig, overrides: Mapping[str, Any]) -> PartSegmentationConfig:
    config = copy.deepcopy(config)
    for key in overrides:
        _check_field(config, key)
    values = {key: _nested(getattr(config, key), value) for key, value in overrides.items()}
    try:
        for key, value in values.items():
            setattr(config, key, value)
        return type(config).from_dict(config.to_dict())  # which also checks types
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = error.__cause__ or error
        given = {key: value for key, value in overrides.items() if key not in ("id2label", "label2id", "trained_on")}
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
        hint = did_you_mean(key, config.to_dict())
        raise ConfigurationError(f"{type(config).__name__} has no field {key!r}.{hint}")


def _check_holds_model(folder: Path) -> None:
    """Refuses a folder that is no model but has models in it, such as the output of a training run, and names them."""
    if not folder.is_dir() or (folder / "config.json").exists():
        return
    inner = sorted(path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/config.json"))
    if inner:
        names = " or ".join(repr(str(path)) for path in inner[:_LISTED])
        raise ConfigurationError(f"{str(folder)!r} is no model, but a folder with models in it: name {names}.")


@contextmanager
def hub_errors(name_or_path: str | Path | None, what: str) -> Iterator[None]:
    """Turns what transformers raises when it cannot read something, from a folder or from the Hub, into one line."""
    try:
        yield
    except (CheckpointError, ConfigurationError):
        raise
    except Exception as error:  # besides those of the Hub, any kind: what is read may be damaged in any way
        cause = error.__cause__ if isinstance(error, StrictDataclassError) and error.__cause__ else error
        reason = format_hub_error(error, str(name_or_path)) or first_line(cause)
        raise ConfigurationError(f"No {what} at {str(name_or_path)!r}: {reason}{_mark_hint(name_or_path)}") from error


def _mark_hint(folder: str | Path | None) -> str:
    """A sentence about a file that transformers does not read for its byte order mark, if there is one."""
    with suppress(OSError, TypeError, ValueError):
        marked = [path.name for path in sorted(Path(folder).glob("*.json")) if path.read_bytes()[:3] == codecs.BOM_UTF8]
        return f" {marked[0]} begins with a byte order mark: save it as UTF-8 without one." if marked else ""
    return ""
