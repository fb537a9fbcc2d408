import json

import pytest
import torch
from torch.testing import assert_close

from ovparts_hf.cli import main
from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.clipseg.configuration_clipseg import CLIPSegPartConfig
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.partclipseg.convert_partclipseg import MIXING, PREFIX, convert_partclipseg

from .goldens import TINY, class_names, golden_config, golden_processor


def convert(content, tmp_path, config=None):
    torch.save(content, tmp_path / "model.pth")
    return convert_partclipseg(tmp_path / "model.pth", config or golden_config())


def test_a_released_checkpoint_becomes_a_folder(tmp_path, capsys):
    """By the command, from weights beside which a trainer left its state."""
    base = tmp_path / "base"
    CLIPSegPartConfig(**TINY.facts["model_config"]).save_pretrained(base)
    settings = json.loads((base / "config.json").read_text())
    settings.update(model_type="clipseg", architectures=["CLIPSegForImageSegmentation"])
    (base / "config.json").write_text(json.dumps(settings))
    golden_processor().save_pretrained(base)
    torch.save({"model": TINY.tensors(), "iteration": 7}, tmp_path / "model.pth")
    out = tmp_path / "out"
    assert main(["convert", "partclipseg", str(tmp_path / "model.pth"), str(out), "--base", str(base)]) == 0
    assert "used" in capsys.readouterr().out
    model, processor = load_model(out)
    inputs = model.encode_vocabulary(processor, class_names("eval"))
    with torch.no_grad():
        outputs = model(TINY.inputs["eval.pixel_values"], **inputs)
    scores = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    assert_close(scores, TINY.outputs["eval.part_obj_logits"], atol=1e-4, rtol=0)


def test_unknown_and_missing_keys_are_listed(tmp_path):
    tensors = TINY.tensors()
    del tensors[MIXING]
    tensors["sem_seg_head.weight"] = tensors[f"{PREFIX}extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        convert({"model": tensors}, tmp_path)
    for line in ("unexpected sem_seg_head.weight", "missing for decoder.part_projection.weight", "extra has no place"):
        assert line in str(error.value)


def test_checkpoints_of_the_other_family_are_recognised(tmp_path):
    tensors = {key.replace(PREFIX, "clipseg_model."): tensor for key, tensor in TINY.tensors().items()}
    with pytest.raises(CheckpointError, match="looks like a CLIPSeg checkpoint"):
        convert({"model": tensors}, tmp_path)


def test_another_base_model_is_noticed(tmp_path):
    with pytest.raises(CheckpointError, match="reduces.0.weight has shape .* the model needs"):
        convert({"model": TINY.tensors()}, tmp_path, golden_config(reduce_dim=8))
