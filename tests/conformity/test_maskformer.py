from __future__ import annotations

import unittest

from ovparts_hf import MaskFormerForPartSegmentation

from ..models.maskformer.goldens import golden_config
from ..models.tester import TWO_STAGES
from .models import ModelTester, model_tests

CONFIG = golden_config(backbone_config=TWO_STAGES, num_queries=5, decoder_layers=2)
TESTER = ModelTester(
    *(CONFIG, 64, CONFIG.decoder_layers, CONFIG.decoder_layers),
    *(CONFIG.num_queries, CONFIG.hidden_size, CONFIG.decoder_attention_heads),
)


class MaskFormerTest(model_tests(MaskFormerForPartSegmentation, TESTER), unittest.TestCase):
    pass
