"""Scores of part segmentation: label maps -> confusion matrix -> numbers. Needs numpy only."""

from .image_counts import ImageCounts
from .part_segmentation import PartSegmentationMetric

__all__ = ["PartSegmentationMetric", "ImageCounts"]
