import pytest
import torch
from safetensors.torch import save_file

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.zsseg.convert_zsseg import account_keys, convert_zsseg, load_prompts
from ovparts_hf.models.zsseg.modeling_zsseg import ZSSegForPartSegmentation

from .goldens import PLAIN, PLUS, class_ids, golden_config


def test_other_pixel_statistics_are_noticed():
    tensors = {"clip_adapter.pixel_mean": torch.full((1, 3, 1, 1), 127.5)}
    with pytest.raises(CheckpointError, match="clip_adapter.pixel_mean should be 255 times"):
        account_keys(tensors, golden_config(PLAIN))


@torch.no_grad()
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_converted_and_saved_model_stays_the_same(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    tensors = {key: tensor.clone() for key, tensor in PLUS.tensors().items()}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"model": tensors}, path)
    model, _ = convert_zsseg(path, golden_config(PLUS))
    model.save_pretrained(tmp_path / "out")
    loaded = ZSSegForPartSegmentation.from_pretrained(tmp_path / "out")
    assert loaded.config.prompt_lengths == PLUS.prompt_lengths
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def prompt_checkpoint(tmp_path, **changes):
    """The prompts of the stored run under the names of the separate checkpoint, in half precision where that is."""
    prefix = "clip_adapter."
    learned = {key: value for key, value in PLUS.tensors().items() if ".prompt_learner." in key}
    content = {key.removeprefix(prefix): value for key, value in learned.items()}
    assert set(content) == set(PLUS.full_size_keys["cptcoop_prompt"])
    content |= changes
    torch.save({"model": {key: value for key, value in content.items() if value is not None}}, tmp_path / "prompt.pth")
    return tmp_path / "prompt.pth"


@torch.no_grad()
def test_prompts_come_from_their_own_checkpoint(tmp_path):
    other = torch.randn_like(PLUS.tensors()["clip_adapter.prompt_learner.prefix_prompt"])
    path = prompt_checkpoint(
        tmp_path, **{"prompt_learner.prefix_prompt": other, "clip_model.logit_scale": torch.ones(())}
    )
    model, _ = convert_zsseg(PLUS.checkpoint, golden_config(PLUS), path)
    assert torch.equal(model.prompts.prefix_prompt, other)
    assert model.prompts.fuse_weight.item() == pytest.approx(PLUS.facts["adapter"]["fuse_weight"])
    report = load_prompts(model.prompts, path)
    assert len(report.used) == 3 and len(report.unused) == 5
    original, _ = convert_zsseg(PLUS.checkpoint, golden_config(PLUS))
    tokens = class_ids(PLUS, "eval")
    assert not torch.allclose(model.encode_classes(**tokens), original.encode_classes(**tokens))


def test_incomplete_or_unwanted_prompts_are_noticed(tmp_path):
    path = prompt_checkpoint(tmp_path, **{"prompt_learner.connect_prompt": None})
    with pytest.raises(CheckpointError, match="missing for connect_prompt"):
        convert_zsseg(PLUS.checkpoint, golden_config(PLUS), path)
    with pytest.raises(CheckpointError, match="prompt_lengths"):
        convert_zsseg(PLAIN.checkpoint, golden_config(PLAIN), path)


def test_missing_and_unknown_keys_are_listed(tmp_path):
    tensors = PLUS.tensors()
    del tensors["clip_adapter.clip_model.visual.proj"]
    tensors["clip_adapter.clip_model.visual.extra"] = torch.zeros(1)
    tensors["clip_adapter.prompt_learner.meta"] = torch.zeros(1)
    torch.save({"model": tensors}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError) as error:
        convert_zsseg(tmp_path / "model.pth", golden_config(PLUS))
    for line in (
        "missing for clip.visual_projection",
        "unexpected clip_adapter.clip_model.visual.extra",
        "learner.meta",
    ):
        assert line in str(error.value)
