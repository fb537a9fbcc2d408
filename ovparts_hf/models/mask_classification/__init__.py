from .configuration_mask_classification import MaskClassificationConfig
from .losses import mask_classification_loss, masks_from_labels
from .modules import PixelLevelModule, QueryDecoder, pad_to_multiple

__all__ = [
    "MaskClassificationConfig",
    "PixelLevelModule",
    "QueryDecoder",
    "mask_classification_loss",
    "masks_from_labels",
    "pad_to_multiple",
]
