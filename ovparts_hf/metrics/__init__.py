"""Scores of part segmentation: label maps -> confusion matrix -> numbers. Needs numpy only."""

from .confusion import ImageCounts
from .part_segmentation import PartSegmentationMetric

PictureCounts = ImageCounts  # its name up to 0.1

__all__ = ["ImageCounts", "PartSegmentationMetric", "PictureCounts"]
