"""PartImageNet, the split of segmentation."""

from .partimagenet import PARTS, PartImageNet

__all__ = ["PARTS", "PartImageNet"]
