from __future__ import annotations

import unittest

from ovparts_hf import PartCLIPSegForPartSegmentation, PartCLIPSegProcessor
from ovparts_hf.models.loading import load_model

from ..models.partclipseg.goldens import TINY, golden_config
from .models import OpenVocabularyTester, model_tests
from .processors import processor_tests

LAYERS = 2
VISION = {**TINY.facts["model_config"]["vision_config"], "num_hidden_layers": LAYERS}
CONFIG = golden_config(vision_config=VISION, extract_layers=[0, 1], attention_layer=None)
TOKENS = 1 + (64 // CONFIG.vision_config.patch_size) ** 2


class PartCLIPSegTester(OpenVocabularyTester):
    prompts_per_class = (3,)


TESTER = PartCLIPSegTester(
    *(CONFIG, 64, LAYERS, LAYERS + 1, TOKENS),
    *(CONFIG.vision_config.hidden_size, CONFIG.vision_config.num_attention_heads),
)


class PartCLIPSegTest(model_tests(PartCLIPSegForPartSegmentation, TESTER), unittest.TestCase):
    pass


class PartCLIPSegProcessorTest(processor_tests(), unittest.TestCase):
    processor_class = PartCLIPSegProcessor

    @classmethod
    def _setup_from_components(cls):
        return load_model("toy", "partclipseg")[1]
