from __future__ import annotations

import unittest

from ovparts_hf import ZSSegForPartSegmentation

from ..models.tester import TWO_STAGES
from ..models.zsseg.goldens import PLAIN, PLUS, golden_config
from .models import NAMES, OpenVocabularyTester, model_tests

SMALL = {"backbone_config": TWO_STAGES, "num_queries": 5, "decoder_layers": 2}


def make_tester(config):
    sizes = config.num_queries, config.hidden_size, config.decoder_attention_heads
    return OpenVocabularyTester(config, 64, config.decoder_layers, config.decoder_layers, *sizes)


PLUS_CONFIG = golden_config(PLUS, **SMALL, region_size=32)
PLAIN_CONFIG = golden_config(PLAIN, **SMALL, region_size=32, class_names=NAMES)


class ZSSegPlusTest(model_tests(ZSSegForPartSegmentation, make_tester(PLUS_CONFIG)), unittest.TestCase):
    pass


class ZSSegTest(model_tests(ZSSegForPartSegmentation, make_tester(PLAIN_CONFIG)), unittest.TestCase):
    pass
