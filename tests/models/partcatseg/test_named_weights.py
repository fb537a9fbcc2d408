"""A model on stock weights: CLIP by its folder, DINOv2 and another text encoder by fields of the configuration."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.partcatseg.modeling_partcatseg import PartCATSegForPartSegmentation

from .stock import CLIP, FIELDS, SIZES, save_dino

MASK_TOKEN = "embeddings.mask_token"  # noqa: S105


def load(**fields):
    return load_model(CLIP, "partcatseg", **{**FIELDS, **fields})


def test_starts_from_folders_of_clip_and_dino(tmp_path):
    stock = save_dino(tmp_path / "dino").state_dict()
    model, processor = load(backbone_weights=str(tmp_path / "dino"))
    own = model.backbone.state_dict()
    assert set(own) == set(stock) - {MASK_TOKEN}
    assert all(torch.equal(value, stock[name]) for name, value in own.items())
    clip = load_file(CLIP / "model.safetensors")
    assert set(model.clip.state_dict()) == set(clip)
    assert all(torch.equal(value, clip[name]) for name, value in model.clip.state_dict().items())
    assert model.config.backbone_weights is None
    model.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    (tmp_path / "dino" / "model.safetensors").unlink()
    again = load_model(tmp_path / "saved")[0].state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_without_a_name_dino_starts_at_random(tmp_path):
    stock = save_dino(tmp_path / "dino").state_dict()
    torch.manual_seed(3)
    own = load()[0].backbone.state_dict()
    assert not torch.equal(own["encoder.layer.0.mlp.fc1.weight"], stock["encoder.layer.0.mlp.fc1.weight"])


def test_another_text_encoder_takes_the_place_of_that_of_the_folder(tmp_path):
    changed = {name: -tensor for name, tensor in load_file(CLIP / "model.safetensors").items()}
    (tmp_path / "config.json").write_bytes((CLIP / "config.json").read_bytes())
    save_file(changed, tmp_path / "model.safetensors", {"format": "pt"})
    model, _ = load(text_weights=str(tmp_path))
    of_folder, found = load_file(CLIP / "model.safetensors"), model.clip.state_dict()
    assert any(name.startswith("text_projection.") for name in found)
    for name, value in found.items():
        expected = changed if name.startswith(("text_model.", "text_projection.")) else of_folder
        assert torch.equal(value, expected[name]), name
    assert model.config.text_weights is None


def test_weights_of_other_sizes_are_refused_with_what_to_set(tmp_path):
    stock = save_dino(tmp_path, hidden_size=24, num_hidden_layers=1)
    with pytest.raises(ConfigurationError) as error:
        load(backbone_weights=str(tmp_path))
    assert "do not fit the model" in str(error.value)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1}
    assert str(error.value).endswith(f"Set backbone_config to the sizes of these weights: {sizes}.")
    model, _ = load(backbone_weights=str(tmp_path), backbone_config={**SIZES, **sizes})
    assert torch.equal(model.backbone.layernorm.weight, stock.layernorm.weight)
    assert model.backbone.config.hidden_size == 24


@pytest.mark.parametrize("field", ["backbone_weights", "text_weights"])
def test_what_cannot_be_had_is_named(field):
    with pytest.raises(ConfigurationError, match=f"{field} 'facebook/nothing' cannot be loaded: .*'facebook/nothing'"):
        load(**{field: "facebook/nothing"})


def test_a_folder_of_something_else_is_refused():
    with pytest.raises(CheckpointError, match="missing|unexpected|lack"):
        load(backbone_weights=str(CLIP))


def test_damaged_weights_are_refused(tmp_path):
    save_dino(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load(backbone_weights=str(tmp_path))


def test_fine_tuning_starts_from_published_names():
    assert PartCATSegForPartSegmentation.stock_weights == "openai/clip-vit-base-patch16"
    assert dict(PartCATSegForPartSegmentation.stock_fields) == {"backbone_weights": "facebook/dinov2-small"}
