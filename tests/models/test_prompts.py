"""Learned vectors are where they should be."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPTokenizer

from ovparts_hf.errors import ConfigurationError, OVPartsError, TaxonomyError
from ovparts_hf.models.clip import text_features
from ovparts_hf.models.prompts import (
    LearnedPrompts,
    embedded_text_features,
    load_tuned_prompts,
    prompt_features,
    tokenize_prompts,
)
from ovparts_hf.models.zsseg.convert_zsseg import convert_zsseg
from ovparts_hf.models.zsseg.modeling_zsseg import ZSSegForPartSegmentation

from .zsseg.goldens import PLUS, TableTokenizer, golden_config

TOY_CLIP = Path(__file__).parents[2] / "ovparts_hf" / "toy" / "clip"
CLASSES = PLUS.facts["classes"]["eval_parts"]
COUNT, WIDTH, DIM = len(CLASSES), PLUS.facts["clip"]["text_width"], PLUS.facts["clip"]["embed_dim"]


@pytest.fixture(scope="module")
def clip() -> CLIPModel:
    return convert_zsseg(PLUS.checkpoint, golden_config(PLUS))[0].clip.requires_grad_(False)


def test_embedded_words_give_what_words_give() -> None:
    clip, tokenizer = CLIPModel.from_pretrained(TOY_CLIP), CLIPTokenizer.from_pretrained(TOY_CLIP)
    tokens = tokenizer(["dog ear", "a red bus with black wheels"], padding=True, return_tensors="pt")
    embeddings = clip.text_model.embeddings.token_embedding(tokens.input_ids)
    features = embedded_text_features(clip, embeddings, tokens.attention_mask.sum(1) - 1)
    torch.testing.assert_close(features, text_features(clip, **tokens), rtol=1e-5, atol=1e-5)


def test_layout_of_real_tokens() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(TOY_CLIP)

    def words(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False).input_ids

    tokens = tokenize_prompts(tokenizer, ["dog's ear", "bus's wheel"], prefix=2, connect=1, suffix=1)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    expected = [start, -1, -2, *words("dog"), -3, *words("ear"), -4, *words("."), end]
    assert tokens["input_ids"][0][: len(expected)].tolist() == expected
    assert tokens["attention_mask"][0].sum() == len(expected)
    plain = tokenize_prompts(tokenizer, ["dog's ear", "wheel"], prefix=1, connect=0)
    expected = [start, -1, *words("dog ear"), *words("."), end]
    assert plain["input_ids"][0][: len(expected)].tolist() == expected


def conditioned_prompts(**lengths: int) -> LearnedPrompts:
    torch.manual_seed(0)
    prompts = LearnedPrompts(WIDTH, **lengths, feature_dim=DIM)
    for values in prompts.meta_net.up.parameters():
        torch.nn.init.normal_(values)
    return prompts


def test_gradient_reaches_every_learned_vector(clip: CLIPModel) -> None:
    prompts = conditioned_prompts(prefix=2, connect=3, suffix=1)
    tokens = tokenize_prompts(TableTokenizer(PLUS), CLASSES, 2, 3, 1)
    features = prompt_features(clip, prompts, **tokens, features=torch.randn(COUNT, DIM))
    prompts.fuse(features, features.flip(0)).square().sum().backward()
    for name, parameter in prompts.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_each_image_moves_the_vectors_by_its_own_shift(clip: CLIPModel) -> None:
    prompts = conditioned_prompts()
    tokens = tokenize_prompts(TableTokenizer(PLUS), CLASSES)
    images = torch.randn(COUNT, DIM)
    features = prompt_features(clip, prompts, **tokens, features=images)
    moved = LearnedPrompts(WIDTH)
    for row, shift in enumerate(prompts.meta_net(images)):
        vectors = {name: getattr(prompts, name) + shift for name in ("prefix_prompt", "connect_prompt")}
        moved.load_state_dict({**vectors, "fuse_weight": prompts.fuse_weight})
        expected = prompt_features(clip, moved, **tokens)[row]
        torch.testing.assert_close(features[row], expected, rtol=1e-4, atol=1e-5)
    without = prompt_features(clip, prompts, **tokens)
    assert ((features - without).abs().amax(1) > 1e-3).all()


def test_fresh_meta_net_moves_nothing(clip: CLIPModel) -> None:
    prompts = LearnedPrompts(WIDTH, feature_dim=DIM)
    tokens = tokenize_prompts(TableTokenizer(PLUS), CLASSES)
    features = prompt_features(clip, prompts, **tokens, features=torch.randn(COUNT, DIM))
    torch.testing.assert_close(features, prompt_features(clip, prompts, **tokens))


@pytest.mark.parametrize("feature_dim", [None, 24])
def test_saved_prompts_are_read_back(tmp_path: Path, feature_dim: int | None) -> None:
    prompts = LearnedPrompts(16, prefix=2, connect=0, suffix=3, feature_dim=feature_dim)
    prompts.save_pretrained(tmp_path)
    again = LearnedPrompts.from_pretrained(tmp_path)
    for name, value in prompts.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    assert again.state_dict().keys() == prompts.state_dict().keys()


@pytest.mark.parametrize("conditioned", [False, True])
def test_tuned_prompts_are_part_of_a_saved_model(tmp_path: Path, conditioned: bool) -> None:
    config = golden_config(PLUS, image_conditioned_prompts=conditioned)
    tuned = LearnedPrompts(config.text_config.hidden_size, feature_dim=config.projection_dim if conditioned else None)
    torch.nn.init.constant_(tuned.fuse_weight, 0.7)
    tuned.save_pretrained(tmp_path / "prompts")
    model = ZSSegForPartSegmentation(config)
    load_tuned_prompts(model.prompts, tmp_path / "prompts")
    model.save_pretrained(tmp_path / "model")
    model = ZSSegForPartSegmentation.from_pretrained(tmp_path / "model")
    for name, values in tuned.state_dict().items():
        assert torch.equal(model.prompts.state_dict()[name], values), name
    tokens = tokenize_prompts(TableTokenizer(PLUS), CLASSES)
    expected = F.normalize(prompt_features(model.clip, tuned, **tokens), dim=-1)
    torch.testing.assert_close(model.encode_classes(**tokens), expected)


def test_tuned_prompts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    LearnedPrompts(8, prefix=2).save_pretrained(tmp_path / "prompts")
    with pytest.raises(ConfigurationError, match=r"'prefix_prompt': \[2, 8\].*'prefix_prompt': \[4, 8\]"):
        load_tuned_prompts(LearnedPrompts(8), tmp_path / "prompts")
    with pytest.raises(ConfigurationError, match="set prompt_lengths"):
        load_tuned_prompts(None, tmp_path / "prompts")
    with pytest.raises(ConfigurationError, match="holds no tuned prompts"):
        load_tuned_prompts(LearnedPrompts(8), tmp_path / "nothing")


def test_fusion() -> None:
    prompts = LearnedPrompts(4)
    part, whole = torch.ones(2, 3), torch.zeros(2, 3)
    torch.testing.assert_close(prompts.fuse(part, whole), whole)
    torch.nn.init.constant_(prompts.fuse_weight, 0.25)
    torch.testing.assert_close(prompts.fuse(part, whole), 0.25 * part)


def test_bad_input() -> None:
    tokenizer = TableTokenizer(PLUS)
    with pytest.raises(TaxonomyError, match="'head' is not a part class"):
        tokenize_prompts(tokenizer, ["head"])
    with pytest.raises(OVPartsError, match="at least one name"):
        tokenize_prompts(tokenizer, [])
    with pytest.raises(OVPartsError, match="at least one name"):
        tokenize_prompts(tokenizer, "dog's head")
    with pytest.raises(OVPartsError, match=r"\"car's license plate\" has 86 tokens.*at most 77"):
        tokenize_prompts(tokenizer, ["dog's head", "car's license plate"], prefix=40, connect=40)
    with pytest.raises(OVPartsError, match="at least one of them 1"):
        LearnedPrompts(8, prefix=0, connect=0)
    with pytest.raises(OVPartsError, match="0 or more"):
        LearnedPrompts(8, prefix=-1)
