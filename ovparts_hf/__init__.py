"""Open-vocabulary part segmentation: name the parts of an object in words and get their pixels."""

from .data.part_dataset import PartDataset
from .evaluation.evaluator import evaluate_model
from .evaluation.results import BenchmarkResult
from .inference.pipelines import PartSegmentationPipeline, register_pipelines
from .inference.result import PartSegmentation
from .inference.segmenter import PartSegmenter
from .metrics import PartSegmentationMetric
from .models.auto import register_auto_classes
from .models.catseg import CATSegConfig, CATSegForPartSegmentation
from .models.catseg.image_processing_catseg import CATSegImageProcessor
from .models.clipseg import CLIPSegForPartSegmentation, CLIPSegPartConfig
from .models.loading import load_model
from .models.maskformer import MaskFormerForPartSegmentation, MaskFormerPartConfig
from .models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from .models.processing import ClosedVocabularyProcessor, PartSegmentationImageProcessor, PartSegmentationProcessor
from .models.zsseg import ZSSegConfig, ZSSegForPartSegmentation
from .taxonomy import ADE20K_PART_234, PASCAL_PART_116, PartTaxonomy
from .utils.images import load_image

__version__ = "0.1.0"

open_picture = load_image  # its name up to 0.1

__all__ = [
    "ADE20K_PART_234",
    "PASCAL_PART_116",
    "BenchmarkResult",
    "CATSegConfig",
    "CATSegForPartSegmentation",
    "CATSegImageProcessor",
    "CLIPSegForPartSegmentation",
    "CLIPSegPartConfig",
    "ClosedVocabularyProcessor",
    "MaskClassificationImageProcessor",
    "MaskFormerForPartSegmentation",
    "MaskFormerPartConfig",
    "PartDataset",
    "PartSegmentation",
    "PartSegmentationImageProcessor",
    "PartSegmentationMetric",
    "PartSegmentationPipeline",
    "PartSegmentationProcessor",
    "PartSegmenter",
    "PartTaxonomy",
    "ZSSegConfig",
    "ZSSegForPartSegmentation",
    "evaluate_model",
    "load_model",
    "open_picture",
    "load_image",
]

register_auto_classes()
register_pipelines()
