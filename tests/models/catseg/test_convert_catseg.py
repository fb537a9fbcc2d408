import re

import pytest
import torch

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.catseg.convert_catseg import convert_catseg

from .goldens import TINY, golden_config

NONE = "sem_seg_head.predictor.non_object_embedding"
MASK = "sem_seg_head.predictor.transformer.layers.0.swin_block.block_2.attn_mask"


@pytest.fixture
def tensors():
    return TINY.tensors()


def convert(content, tmp_path, config=None):
    torch.save(content, tmp_path / "model.pth")
    return convert_catseg(tmp_path / "model.pth", config or golden_config())


def test_the_missing_none_row_of_an_object_model_is_the_same_every_time(tensors, tmp_path):
    del tensors[NONE]
    (first, report), (second, _) = (convert({"model": tensors}, tmp_path) for _ in range(2))
    assert torch.equal(first.none_embedding, second.none_embedding)
    assert "added      none_embedding: not in an object model" in report.summary()


def test_unknown_and_missing_keys_are_listed(tensors, tmp_path):
    del tensors["sem_seg_head.predictor.transformer.head.bias"]
    tensors["sem_seg_head.predictor.clip_model.visual.prompt"] = torch.zeros(1)
    tensors["sem_seg_head.predictor.transformer.extra.weight"] = torch.zeros(1)
    tensors["criterion.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        convert({"model": tensors}, tmp_path)
    for line in (
        "missing for aggregator.decoder.head.bias",
        "unexpected sem_seg_head.predictor.clip_model.visual.prompt",
        "transformer.extra.weight has no place",
        "unexpected criterion.weight",
    ):
        assert line in str(error.value)


def test_another_size_is_noticed(tensors, tmp_path):
    width, templates, *kernel = tensors["sem_seg_head.predictor.transformer.conv1.weight"].shape
    shapes = [width, templates, *kernel], [width, templates + 2, *kernel]
    with pytest.raises(
        CheckpointError, match=re.escape("conv1.weight has shape {}, the model needs {}".format(*shapes))
    ):
        convert({"model": tensors}, tmp_path, golden_config(num_templates=templates + 2))
    tensors[MASK][0, 0, 1] = -100
    config = golden_config()
    message = f"attn_mask is not the mask of windows of {config.window_size} on a grid of {config.grid_size}.*damaged"
    with pytest.raises(CheckpointError, match=message):
        convert({"model": tensors}, tmp_path)
