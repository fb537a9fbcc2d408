from __future__ import annotations

import unittest

from ovparts_hf import CLIPSegForPartSegmentation

from ..models.clipseg.goldens import FACTS, golden_config
from .models import OpenVocabularyTester, model_tests

LAYERS = 2
VISION = {**FACTS["model_config"]["vision_config"], "num_hidden_layers": LAYERS}
CONFIG = golden_config(vision_config=VISION, extract_layers=[0, 1])
TOKENS = 1 + (64 // CONFIG.vision_config.patch_size) ** 2
TESTER = OpenVocabularyTester(
    *(CONFIG, 64, LAYERS, LAYERS + 1, TOKENS),
    *(CONFIG.vision_config.hidden_size, CONFIG.vision_config.num_attention_heads),
)


class CLIPSegTest(model_tests(CLIPSegForPartSegmentation, TESTER), unittest.TestCase):
    pass
