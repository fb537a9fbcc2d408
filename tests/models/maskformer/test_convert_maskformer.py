import pytest
import torch

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.maskformer.convert_maskformer import convert_maskformer

from .goldens import TINY, golden_config


def empty_weight(length: int) -> torch.Tensor:
    return torch.tensor([1.0] * (length - 1) + [0.1])


@pytest.fixture
def tensors():
    return TINY.tensors()


def convert(tensors, tmp_path):
    torch.save({"model": tensors}, tmp_path / "model.pth")
    return convert_maskformer(tmp_path / "model.pth", golden_config())


def test_weights_of_the_loss_may_have_another_length(tensors, tmp_path):
    tensors["criterion.empty_weight"] = empty_weight(75)
    _, report = convert(tensors, tmp_path)
    assert report.derivable == ["criterion.empty_weight"]


def test_other_weights_of_the_loss_are_noticed(tensors, tmp_path):
    tensors["criterion.empty_weight"][-1] = 0.4
    with pytest.raises(CheckpointError, match=r"no_object_weight"):
        convert(tensors, tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        "sem_seg_head.pixel_decoder.layer_2.norm.weight",
        "sem_seg_head.predictor.transformer.decoder.layers.1.self_attn.in_proj_bias",
        "backbone.res3.1.conv2.norm.running_mean",
    ],
)
def test_a_missing_key_is_noticed(key, tensors, tmp_path):
    del tensors[key]
    with pytest.raises(CheckpointError, match="missing for"):
        convert(tensors, tmp_path)


def test_unknown_keys_are_noticed(tensors, tmp_path):
    unknown = ["sem_seg_head.predictor.transformer.decoder.layers.0.norm9.weight", "clip_adapter.fuse_weight"]
    tensors |= {key: torch.zeros(1) for key in unknown}
    with pytest.raises(CheckpointError) as error:
        convert(tensors, tmp_path)
    assert unknown
    assert all(f"unexpected {key}" in str(error.value) for key in unknown)
