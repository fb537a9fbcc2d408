"""Small models of every family, and an image."""

from functools import cache

import numpy as np
import pytest
import torch

from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.models.loading import load_model
from ovparts_hf.toy.world import draw

BENCH = {"bench": ["seat", "back", "leg"]}
CLASSES = ("bench's seat", "bench's back", "bench's leg")
LABEL2ID = {name: number for number, name in enumerate(CLASSES)}
MODELS = {
    "clipseg": ("toy", {"for_training": True}),
    "catseg": ("toy-catseg", {}),
    "partcatseg": ("toy-partcatseg", {}),
    "zsseg": ("toy-zsseg", {"object_mask_prompt": False}),
    "maskformer": ("toy-maskformer", {"id2label": dict(enumerate(CLASSES)), "label2id": LABEL2ID}),
    "zsseg+": ("toy-zsseg", {}),
}
WITHOUT_MASKS = [name for name in MODELS if name != "zsseg+"]


@pytest.fixture(scope="module")
def models():
    @cache
    def load(name):
        torch.manual_seed(0)
        source, settings = MODELS[name]
        return load_model(source, **settings)

    return load


@pytest.fixture
def segmenter(models):
    return PartSegmenter(*models("clipseg"))


@pytest.fixture(scope="module")
def image():
    return draw("validation", 8).image


def square(image, side=40):
    mask = np.zeros((image.height, image.width), dtype=bool)
    mask[10 : 10 + side, 20 : 20 + side] = True
    return mask
