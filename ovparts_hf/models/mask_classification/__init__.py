from .configuration_mask_classification import MaskClassificationConfig
from .losses import mask_classification_loss, masks_from_labels
from .modules import PixelFeatures, PixelLevelModule, QueryDecoder, init_mask_classification_layer, pad_to_multiple
from .proposals import Proposals, class_probabilities, mask_probabilities, sum_of_queries

__all__ = [
    "MaskClassificationConfig",
    "PixelFeatures",
    "PixelLevelModule",
    "Proposals",
    "QueryDecoder",
    "class_probabilities",
    "init_mask_classification_layer",
    "mask_classification_loss",
    "mask_probabilities",
    "masks_from_labels",
    "pad_to_multiple",
    "sum_of_queries",
]
