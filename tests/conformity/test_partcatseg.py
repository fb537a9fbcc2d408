from __future__ import annotations

import unittest

from ovparts_hf import PartCATSegForPartSegmentation, PartCATSegProcessor
from ovparts_hf.models.loading import load_model

from ..models.partcatseg.goldens import golden_config
from .models import OpenVocabularyTester, model_tests
from .processors import processor_tests

BACKBONE = {"hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 3, "patch_size": 8, "image_size": 40}
CONFIG = golden_config(backbone_config=BACKBONE, backbone_image_size=64)
ATTENDING = CONFIG.vision_config.num_hidden_layers - 1


class PartCATSegTester(OpenVocabularyTester):
    """Adds the prompts of each class's part and object."""

    def prepare_config_and_inputs_for_common(self):
        config, inputs = super().prepare_config_and_inputs_for_common()
        for name in ("input_ids", "attention_mask"):
            inputs[name] = inputs[name].repeat(1, 3, 1)
        return config, inputs


TESTER = PartCATSegTester(
    *(CONFIG, 64, ATTENDING, ATTENDING + 1, 1 + CONFIG.grid_size**2),
    *(CONFIG.vision_config.hidden_size, CONFIG.vision_config.num_attention_heads),
)


class PartCATSegTest(model_tests(PartCATSegForPartSegmentation, TESTER), unittest.TestCase):
    pass


class PartCATSegProcessorTest(processor_tests(), unittest.TestCase):
    processor_class = PartCATSegProcessor

    @classmethod
    def _setup_image_processor(cls):
        return load_model("toy-partcatseg")[1].image_processor

    @classmethod
    def _setup_tokenizer(cls):
        return load_model("toy-partcatseg")[1].tokenizer

    @staticmethod
    def prepare_processor_dict():
        return {"possessive": True, "scores": "probabilities"}
