import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation

from .goldens import FOLDER, TINY, golden_config


@pytest.fixture
def tensors():
    return TINY.tensors()


@torch.no_grad()
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_converted_model_gives_the_original_logits(suffix, tensors, tmp_path):
    path = tmp_path / f"model{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"model": tensors, "iteration": 7}, path)
    model, _ = convert_clipseg(path, golden_config())
    model.save_pretrained(tmp_path / "out")
    model = CLIPSegForPartSegmentation.from_pretrained(tmp_path / "out")
    outputs = model(TINY.inputs["eval.pixel_values"], input_ids=TINY.inputs["eval.input_ids"])
    assert_close(outputs.logits, TINY.outputs["eval.logits"][:, :-1], atol=1e-4, rtol=0)
    assert_close(outputs.none_logits, TINY.outputs["eval.logits"][:, -1:], atol=1e-4, rtol=0)


def convert(content, tmp_path, config=None):
    torch.save(content, tmp_path / "model.pth")
    return convert_clipseg(tmp_path / "model.pth", config or golden_config())


def test_unknown_and_missing_keys_are_listed(tensors, tmp_path):
    del tensors["clipseg_model.decoder.film_mul.bias"]
    tensors["sem_seg_head.weight"] = torch.zeros(1)
    tensors["clipseg_model.extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        convert({"model": tensors}, tmp_path)
    for line in ("unexpected sem_seg_head.weight", "missing for decoder.film_mul.bias", "clipseg_model.extra has no"):
        assert line in str(error.value)


def test_another_base_model_is_noticed(tensors, tmp_path):
    with pytest.raises(CheckpointError, match="reduces.0.weight has shape .* the model needs"):
        convert({"model": tensors}, tmp_path, golden_config(reduce_dim=8))


def test_a_wrong_derivable_tensor_is_noticed(tensors, tmp_path):
    tensors["clipseg_model.clip.text_model.embeddings.position_ids"][0, 3] = 0
    with pytest.raises(CheckpointError, match="position_ids should count"):
        convert({"model": tensors}, tmp_path)


class Malicious:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("code.pth", pickle.dumps(Malicious()), "cannot be read as tensors only"),
        ("cut.pth", (FOLDER / "checkpoint.pth").read_bytes()[:5000], "cannot be read"),
        ("empty.pth", b"", "cannot be read"),
        ("text.safetensors", b"not safetensors", "not a readable safetensors"),
    ],
)
def test_unreadable_files(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        convert_clipseg(tmp_path / name, golden_config())


def test_missing_file_and_no_state_dict(tmp_path):
    with pytest.raises(CheckpointError, match="is not a file"):
        convert_clipseg(tmp_path / "none.pth", golden_config())
    with pytest.raises(CheckpointError, match="holds no state dict"):
        convert({"model": [1, 2]}, tmp_path)
