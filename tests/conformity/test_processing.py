"""transformers' tests of processors, on those of open and of closed vocabularies."""

import unittest

from ovparts_hf import (
    CATSegImageProcessor,
    ClosedVocabularyProcessor,
    MaskClassificationImageProcessor,
    PartSegmentationProcessor,
)
from ovparts_hf.models.loading import load_model

from .processors import processor_tests


class PartSegmentationProcessorTest(processor_tests(), unittest.TestCase):
    processor_class = PartSegmentationProcessor

    @classmethod
    def _setup_from_components(cls):
        return load_model("toy")[1]


class CATSegProcessorTest(processor_tests(), unittest.TestCase):
    """With the image processor that prepares most."""

    processor_class = PartSegmentationProcessor

    @classmethod
    def _setup_image_processor(cls):
        return CATSegImageProcessor({"height": 48, "width": 48}, backbone_size={"height": 64, "width": 64})

    @classmethod
    def _setup_tokenizer(cls):
        return load_model("toy")[1].tokenizer

    @staticmethod
    def prepare_processor_dict():
        return {"possessive": True, "scores": "probabilities"}


class ClosedVocabularyProcessorTest(processor_tests(), unittest.TestCase):
    processor_class = ClosedVocabularyProcessor

    @classmethod
    def _setup_image_processor(cls):
        return MaskClassificationImageProcessor(size={"shortest_edge": 40, "longest_edge": 64})
