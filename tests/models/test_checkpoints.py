"""Checkpoints of the originals that are no usable weights, or of another model."""

import pytest
import torch
from safetensors.torch import save_file

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.checkpoints import read_checkpoint
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.loading import load_config, load_model
from ovparts_hf.models.maskformer.convert_maskformer import convert_maskformer
from ovparts_hf.models.resnet import load_backbone

from .catseg.goldens import TINY as CATSEG
from .clipseg.goldens import TINY as CLIPSEG
from .clipseg.goldens import golden_config

KEY = "clipseg_model.decoder.film_mul.weight"
FLAWS = {
    "not a tensor but list:": lambda tensor: tensor.tolist(),
    "not a tensor but int:": lambda tensor: 3,
    "meta": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "not finite": lambda tensor: tensor * torch.nan,
    "not floating-point": lambda tensor: tensor.long(),
    "quantized": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
}


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("nested", [True, False])
def test_what_is_no_weight_is_named(nested, flaw, tmp_path):
    tensors = CLIPSEG.tensors()
    tensors[KEY] = FLAWS[flaw](tensors[KEY])
    path = tmp_path / "model.pth"
    torch.save({"model": tensors} if nested else tensors, path)
    with pytest.raises(CheckpointError, match=f"{flaw} {KEY}"):
        convert_clipseg(path, golden_config())


def test_a_flipped_bit_is_noticed(tmp_path):
    """torch.load does not compare checksums."""
    tensors, path = CLIPSEG.tensors(), tmp_path / "model.pth"
    torch.save({"model": tensors}, path)
    data, value = path.read_bytes(), tensors[KEY].numpy().tobytes()
    assert len(value) > 60 and value in data
    place = data.index(value) + 8
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert not torch.equal(torch.load(path, weights_only=True)["model"][KEY], tensors[KEY])
    with pytest.raises(CheckpointError, match="model.pth is damaged: the checksum of .* is wrong. Download it again"):
        read_checkpoint(path)


def test_infinite_weights_of_a_safetensors_file(tmp_path):
    tensors = CLIPSEG.tensors()
    tensors[KEY] = torch.full_like(tensors[KEY], torch.inf)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"not finite {KEY}"):
        convert_clipseg(tmp_path / "model.safetensors", golden_config())


@pytest.mark.parametrize("content", [{}, {3: torch.zeros(1)}, [torch.zeros(1)], torch.zeros(1), "text"])
def test_what_is_no_state_dict(content, tmp_path):
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_checkpoint(tmp_path / "model.pth")


def test_the_checkpoint_of_another_model_is_recognised(tmp_path):
    torch.save({"model": CATSEG.tensors()}, tmp_path / "catseg.pth")
    torch.save({"model": CLIPSEG.tensors()}, tmp_path / "clipseg.pth")
    for convert, config in ((convert_clipseg, golden_config()), (convert_maskformer, load_config("toy-maskformer"))):
        with pytest.raises(CheckpointError, match="This looks like a CATSeg checkpoint.") as error:
            convert(tmp_path / "catseg.pth", config)
        assert 2 < len(str(error.value).splitlines()) <= 11
    with pytest.raises(CheckpointError, match="This looks like a CLIPSeg checkpoint."):
        convert_maskformer(tmp_path / "clipseg.pth", load_config("toy-maskformer"))
    with pytest.raises(CheckpointError, match="another base model"):
        convert_clipseg(tmp_path / "clipseg.pth", golden_config(reduce_dim=8))


def test_integers_are_no_backbone(tmp_path):
    model, _ = load_model("toy-maskformer")
    torch.save({"stem.conv1.weight": torch.ones(8, 3, 7, 7, dtype=torch.long)}, tmp_path / "backbone.pth")
    with pytest.raises(CheckpointError, match="does not fit the backbone"):
        load_backbone(model, tmp_path / "backbone.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<!DOCTYPE html><html>", "it is a web page"), (b"\x80\x02cos\nsystem\n.", "it is damaged, or holds more")],
)
def test_no_error_advises_to_run_what_a_file_holds(content, reason, tmp_path):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"cannot be read as tensors only: {reason}") as error:
        read_checkpoint(tmp_path / "model.pth")
    assert "weights_only" not in str(error.value)
