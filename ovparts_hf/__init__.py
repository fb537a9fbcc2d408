"""Open-vocabulary part segmentation: name the parts of an object in words and get their pixels.

Names are loaded when they are first used; see `models.auto` for how transformers' Auto classes know the models all the
same.
"""

from importlib import import_module
from typing import Any

from .models.auto import register_when_needed
from .utils.imports import call_after_import, call_before

__version__ = "0.1.0"

_MODULES = {
    "evaluation.evaluator": ("evaluate_model",),
    "evaluation.results": ("BenchmarkResult",),
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
    "models.processing": ("ClosedVocabularyProcessor", "PartSegmentationImageProcessor", "PartSegmentationProcessor"),
    "models.zsseg.configuration_zsseg": ("ZSSegConfig",),
    "models.zsseg.modeling_zsseg": ("ZSSegForPartSegmentation",),
    "taxonomy": ("ADE20K_PART_234", "PASCAL_PART_116", "PartTaxonomy"),
    "utils.images": ("load_image", "open_picture"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_pipelines() -> None:
    import_module(".inference.pipelines", __name__).register_pipelines()


def _register_pipelines_before(base: Any) -> None:
    for method in ("check_task", "get_supported_tasks"):
        call_before(base.PipelineRegistry, method, _register_pipelines)


register_when_needed()
call_after_import("transformers.pipelines.base", _register_pipelines_before)
