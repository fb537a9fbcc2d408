import pytest
import torch

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.configuration_resnet import RESNETS
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.convert_maskformer import account_keys, convert_maskformer
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation

from .test_modeling_maskformer import GOLDEN, golden_config

R50, R101C = RESNETS["resnet-50"], RESNETS["resnet-101c"]


def empty_weight(length: int) -> torch.Tensor:
    return torch.tensor([1.0] * (length - 1) + [0.1])


@pytest.mark.parametrize(("name", "backbone", "count"), [("r50", R50, 410), ("r101c", R101C, 675)])
def test_all_full_size_keys_are_accounted_for(name, backbone, count):
    shapes = GOLDEN.keys(f"maskformer_{name}")
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    tensors["criterion.empty_weight"] = empty_weight(117)
    config = MaskFormerPartConfig(num_labels=116, backbone_config=backbone)
    report = account_keys(tensors, config)
    assert (len(report.used), report.derivable, report.unused) == (count - 1, ["criterion.empty_weight"], {})
    with torch.device("meta"):
        model = MaskFormerForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


@pytest.fixture
def tensors():
    return GOLDEN.tensors()


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
    assert all(f"unexpected {key}" in str(error.value) for key in unknown)
