"""The model families, and making transformers' Auto classes know them.

`import ovparts_hf` imports neither torch nor transformers: the Auto classes learn the families when they are
first called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from ..utils.imports import call_after_import, call_before
from .family_facts import FamilyFacts

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from .configuration_utils import PartSegmentationConfig
    from .modeling_utils import PartSegmentationModel

FAMILIES = {
    "clipseg": "CLIPSegPartConfig",
    "partclipseg": "PartCLIPSegConfig",
    "catseg": "CATSegConfig",
    "partcatseg": "PartCATSegConfig",
    "zsseg": "ZSSegConfig",
    "maskformer": "MaskFormerPartConfig",
}
"""Folder of each family -> its configuration class, whose `model_type` is "ovparts_<family>"."""


@cache
def config_class(family: str) -> type[PartSegmentationConfig]:
    """The configuration class of a family."""
    return getattr(import_module(f".{family}.configuration_{family}", __package__), FAMILIES[family])


@cache
def model_class(family: str) -> type[PartSegmentationModel]:
    """The model class of a family."""
    name = config_class(family).auto_classes["AutoModel"]
    return getattr(import_module(f".{family}.modeling_{family}", __package__), name)


def family_of(config: PreTrainedConfig) -> str:
    """The family of a configuration of this library; of others, their `model_type`."""
    return config.model_type.removeprefix("ovparts_")


@cache
def family_facts(family: str) -> FamilyFacts:
    """What a family says of itself, without loading its code; only its name if it says nothing."""
    if any(find_spec(name, __package__) is None for name in (f".{family}", f".{family}.facts")):
        return FamilyFacts(family)
    return import_module(f".{family}.facts", __package__).FACTS


@cache
def register_families() -> None:
    """Registers every family with transformers' Auto classes; the pipeline "image-segmentation" takes them, too."""
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForSemanticSegmentation, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES

    for family in FAMILIES:
        config, model = config_class(family), model_class(family)
        backends = dict.fromkeys(("torchvision", "pil"), model.image_processor_class)
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        AutoModelForSemanticSegmentation.register(config, model, exist_ok=True)
        AutoImageProcessor.register(config, image_processor_classes=backends, exist_ok=True)
        AutoProcessor.register(config, model.processor_class, exist_ok=True)
        MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES[config.model_type] = model.__name__


_ENTRIES = {
    "configuration_auto": {"AutoConfig": ("from_pretrained", "for_model")},
    "modeling_auto": {
        "AutoModel": ("from_pretrained", "from_config"),
        "AutoModelForSemanticSegmentation": ("from_pretrained", "from_config"),
    },
    "image_processing_auto": {"AutoImageProcessor": ("from_pretrained",)},
    "processing_auto": {"AutoProcessor": ("from_pretrained",)},
}
"""Module of `transformers.models.auto` -> its Auto classes -> the class methods that look models up."""


def register_when_needed() -> None:
    """Registers every family when transformers' Auto classes are first called, without importing transformers now.

    Not already when they are imported: transformers imports them in the middle of other modules, of which some are not
    complete by then.
    """
    for module, classes in _ENTRIES.items():
        call_after_import(f"transformers.models.auto.{module}", partial(_register_before, classes))


def _register_before(classes: Mapping[str, Sequence[str]], module: ModuleType) -> None:
    for class_name, methods in classes.items():
        for method in methods:
            call_before(getattr(module, class_name), method, register_families)
