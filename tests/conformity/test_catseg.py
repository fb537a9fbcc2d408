from __future__ import annotations

import unittest

from ovparts_hf import CATSegForPartSegmentation

from ..models.catseg.goldens import golden_config
from .models import OpenVocabularyTester, model_tests

BACKBONE = {"embedding_size": 8, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1]}
CONFIG = golden_config(image_size=64, window_size=2, backbone_config=BACKBONE)
ATTENDING = CONFIG.vision_config.num_hidden_layers - 1
TESTER = OpenVocabularyTester(
    *(CONFIG, 64, ATTENDING, ATTENDING + 1, 1 + CONFIG.grid_size**2),
    *(CONFIG.vision_config.hidden_size, CONFIG.vision_config.num_attention_heads),
)


class CATSegTest(model_tests(CATSegForPartSegmentation, TESTER), unittest.TestCase):
    pass
