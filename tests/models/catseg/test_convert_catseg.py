import json

import pytest
import torch
from torch.testing import assert_close

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig
from ovparts_hf.models.catseg.convert_catseg import account_keys, convert_catseg
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation

from .goldens import FOLDER, INPUTS, OUTPUTS, golden_config, prepared

FULL_SIZE = {"vision_config": {"patch_size": 16}}
NONE = "sem_seg_head.predictor.non_object_embedding"
MASK = "sem_seg_head.predictor.transformer.layers.0.swin_block.block_2.attn_mask"


@pytest.fixture
def tensors():
    return torch.load(FOLDER / "checkpoint.pth", weights_only=True)["model"]


def convert(content, tmp_path, config=None):
    torch.save(content, tmp_path / "model.pth")
    return convert_catseg(tmp_path / "model.pth", config or golden_config())


@pytest.mark.parametrize("kind", ["part model", "object model"])
def test_all_full_size_keys_are_accounted_for(kind):
    shapes = {key: shape for key, (shape, _) in json.loads((FOLDER / "fullsize_keys.json").read_text()).items()}
    if kind == "object model":
        del shapes[NONE]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    config = CATSegConfig(**FULL_SIZE)
    report = account_keys(tensors, config)
    assert {*report.used, *report.derivable} == set(shapes)
    assert len(shapes) == (899 if kind == "part model" else 898)
    assert len(report.derivable) == 2
    assert not report.unused
    assert list(report.added) == ([] if kind == "part model" else ["none_embedding"])
    with torch.device("meta"):
        model = CATSegForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


@torch.no_grad()
def test_converted_model_gives_the_original_logits(tensors, tmp_path):
    convert({"model": tensors, "iteration": 7}, tmp_path)[0].save_pretrained(tmp_path / "out")
    model = CATSegForPartSegmentation.from_pretrained(tmp_path / "out").eval()
    outputs = model(**prepared(INPUTS["infer.image"][None]), input_ids=INPUTS["token_ids_test"])
    assert_close(torch.cat([outputs.logits, outputs.none_logits], 1), OUTPUTS["infer.agg.logits"], atol=1e-4, rtol=0)


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
    with pytest.raises(
        CheckpointError, match=r"conv1.weight has shape \[32, 3, 7, 7\], the model needs \[32, 5, 7, 7\]"
    ):
        convert({"model": tensors}, tmp_path, golden_config(num_templates=5))
    tensors[MASK][0, 0, 1] = -100
    with pytest.raises(CheckpointError, match="attn_mask is not the mask of windows of 4 on a grid of 8"):
        convert({"model": tensors}, tmp_path)
