"""Open-vocabulary part segmentation: name the parts of an object in words and get their pixels.

Names are loaded when they are first used; see `models.auto` for how transformers' Auto classes know the models all the
same.
"""
# ruff: noqa: F401

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .models.auto import register_families, register_when_needed
from .utils.imports import call_after_import, call_before

if TYPE_CHECKING:  # the same as `_MODULES`, for editors and type checkers
    from .data.collator import DataCollatorForPartSegmentation
    from .data.custom.dataset import prepare_custom
    from .data.part_dataset import PartDataset
    from .evaluation.evaluator import evaluate_model
    from .evaluation.results import BenchmarkResult
    from .inference.pipelines import PartSegmentationPipeline
    from .inference.result import PartSegmentation
    from .inference.segmenter import PartSegmenter
    from .metrics import PartSegmentationMetric
    from .models.catseg.configuration_catseg import CATSegConfig
    from .models.catseg.image_processing_catseg import CATSegImageProcessor
    from .models.catseg.modeling_catseg import CATSegForPartSegmentation
    from .models.clipseg.configuration_clipseg import CLIPSegPartConfig
    from .models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation
    from .models.image_processing import PartSegmentationImageProcessor
    from .models.loading import load_model
    from .models.maskformer.configuration_maskformer import MaskFormerPartConfig
    from .models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
    from .models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
    from .models.partcatseg.configuration_partcatseg import PartCATSegConfig
    from .models.partcatseg.modeling_partcatseg import PartCATSegForPartSegmentation
    from .models.partcatseg.processing_partcatseg import PartCATSegProcessor
    from .models.partclipseg.configuration_partclipseg import PartCLIPSegConfig
    from .models.partclipseg.modeling_partclipseg import PartCLIPSegForPartSegmentation
    from .models.partclipseg.processing_partclipseg import PartCLIPSegProcessor
    from .models.processing import ClosedVocabularyProcessor, PartSegmentationProcessor
    from .models.zsseg.configuration_zsseg import ZSSegConfig
    from .models.zsseg.modeling_zsseg import ZSSegForPartSegmentation
    from .reporting.finetuning import finetune
    from .taxonomy import (
        ADE20K_PART_234,
        PACO_LVIS,
        PARTIMAGENET,
        PARTIMAGENET_OOD,
        PASCAL_PART_116,
        PartTaxonomy,
    )
    from .utils.images import load_image
    from .utils.images import load_image as open_picture

__version__ = "0.1.0"

_MODULES = {
    "evaluation.evaluator": ("evaluate_model",),
    "evaluation.results": ("BenchmarkResult",),
    "data.collator": ("DataCollatorForPartSegmentation",),
    "data.custom.dataset": ("prepare_custom",),
    "data.part_dataset": ("PartDataset",),
    "inference.pipelines": ("PartSegmentationPipeline",),
    "inference.result": ("PartSegmentation",),
    "inference.segmenter": ("PartSegmenter",),
    "metrics": ("PartSegmentationMetric",),
    "models.catseg.configuration_catseg": ("CATSegConfig",),
    "models.catseg.image_processing_catseg": ("CATSegImageProcessor",),
    "models.catseg.modeling_catseg": ("CATSegForPartSegmentation",),
    "models.clipseg.configuration_clipseg": ("CLIPSegPartConfig",),
    "models.clipseg.modeling_clipseg": ("CLIPSegForPartSegmentation",),
    "models.loading": ("load_model",),
    "models.maskformer.configuration_maskformer": ("MaskFormerPartConfig",),
    "models.maskformer.image_processing_maskformer": ("MaskClassificationImageProcessor",),
    "models.maskformer.modeling_maskformer": ("MaskFormerForPartSegmentation",),
    "models.partcatseg.configuration_partcatseg": ("PartCATSegConfig",),
    "models.partcatseg.modeling_partcatseg": ("PartCATSegForPartSegmentation",),
    "models.partcatseg.processing_partcatseg": ("PartCATSegProcessor",),
    "models.partclipseg.configuration_partclipseg": ("PartCLIPSegConfig",),
    "models.partclipseg.modeling_partclipseg": ("PartCLIPSegForPartSegmentation",),
    "models.partclipseg.processing_partclipseg": ("PartCLIPSegProcessor",),
    "models.image_processing": ("PartSegmentationImageProcessor",),
    "models.processing": ("ClosedVocabularyProcessor", "PartSegmentationProcessor"),
    "models.zsseg.configuration_zsseg": ("ZSSegConfig",),
    "models.zsseg.modeling_zsseg": ("ZSSegForPartSegmentation",),
    "reporting.finetuning": ("finetune",),
    "taxonomy": (
        "ADE20K_PART_234",
        "PACO_LVIS",
        "PARTIMAGENET",
        "PARTIMAGENET_OOD",
        "PASCAL_PART_116",
        "PartTaxonomy",
    ),
    "utils.images": ("load_image",),
}
_OLD_NAMES = {"open_picture": "load_image"}
_HOMES = {name: (module, name) for module, names in _MODULES.items() for name in names}
_HOMES |= {old: _HOMES[new] for old, new in _OLD_NAMES.items()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, attribute = _HOMES[name]
        value = getattr(import_module(f".{module}", __name__), attribute)
    elif not name.startswith("_") and find_spec(f".{name}", __name__) is not None:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_pipelines() -> None:
    register_families()
    import_module(".inference.pipelines", __name__).register_pipelines()


def _register_pipelines_before(base: Any) -> None:
    for method in ("check_task", "get_supported_tasks"):
        call_before(base.PipelineRegistry, method, _register_pipelines)


__path__.append(str(Path(__file__).parent / "utils" / "old_paths"))
register_when_needed()
call_after_import("transformers.pipelines.base", _register_pipelines_before)
