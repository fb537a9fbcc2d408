"""transformers' tests of image processors, on those of every family."""

import unittest

from ovparts_hf import CATSegImageProcessor, MaskClassificationImageProcessor, PartSegmentationImageProcessor

from .processors import image_processor_tests

SQUARE = {"height": 48, "width": 48}
SHORTEST = {"shortest_edge": 40, "longest_edge": 64}


class PartSegmentationImageProcessorTest(
    image_processor_tests(PartSegmentationImageProcessor, size=SQUARE), unittest.TestCase
):
    pass


class CATSegImageProcessorTest(image_processor_tests(CATSegImageProcessor, size=SQUARE), unittest.TestCase):
    pass


class MaskClassificationImageProcessorTest(
    image_processor_tests(MaskClassificationImageProcessor, size=SHORTEST), unittest.TestCase
):
    pass
