"""Scores of part segmentation: label maps -> confusion matrix -> numbers. Needs numpy only."""

from .part_segmentation import PartSegmentationMetric
from .picture_counts import PictureCounts

__all__ = ["PartSegmentationMetric", "PictureCounts"]
