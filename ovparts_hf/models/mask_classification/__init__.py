from .checks import check_request
from .configuration_mask_classification import MaskClassificationConfig
from .image_processing_mask_classification import MaskClassificationImageProcessor
from .losses import mask_classification_loss, masks_from_labels
from .modules import PixelFeatures, PixelLevelModule, QueryDecoder, init_mask_classification_layer, pad_to_multiple
from .proposals import Proposals, class_probabilities, mask_probabilities, sum_of_queries

__all__ = [
    "MaskClassificationConfig",
    "MaskClassificationImageProcessor",
    "PixelFeatures",
    "PixelLevelModule",
    "Proposals",
    "QueryDecoder",
    "check_request",
    "class_probabilities",
    "init_mask_classification_layer",
    "mask_classification_loss",
    "mask_probabilities",
    "masks_from_labels",
    "pad_to_multiple",
    "sum_of_queries",
]
