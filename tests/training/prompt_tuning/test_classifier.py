"""The CLIP branch on its own: its probabilities, what is frozen, and both kinds of prompts."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPModel

from ovparts_hf.models.prompts import LearnedPrompts, prompt_features, tokenize_prompts
from ovparts_hf.models.zsseg.convert_zsseg import convert_zsseg
from ovparts_hf.training.prompt_tuning.classifier import PromptClassifier

from ...models.test_prompts import CLASSES, DIM, WIDTH, conditioned_prompts
from ...models.zsseg.goldens import PLUS, TableTokenizer, golden_config

CLASS_MASK = torch.tensor([[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1]]).bool()
CONVERTED = convert_zsseg(PLUS.checkpoint, golden_config(PLUS))[0]


def golden_clip() -> CLIPModel:
    return copy.deepcopy(CONVERTED.clip)


def golden_prompts() -> LearnedPrompts:
    return copy.deepcopy(CONVERTED.prompts)


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    tokens = tokenize_prompts(TableTokenizer(PLUS), CLASSES)
    rows = {"part_features": torch.randn(3, DIM), "object_features": torch.randn(3, DIM), "class_mask": CLASS_MASK}
    return {**rows, **tokens}


def test_scores_are_similarities_of_the_fused_feature_with_the_objects_parts() -> None:
    given = inputs()
    clip, prompts = golden_clip(), golden_prompts()
    output = PromptClassifier(clip, prompts, temperature=7.0)(**given, labels=torch.tensor([2, 3, 6]))
    text = prompt_features(clip, prompts, given["input_ids"], given["attention_mask"])
    weight = prompts.fuse_weight
    fused = weight * given["part_features"] + (1 - weight) * given["object_features"]
    expected = 7 * fused @ F.normalize(text, dim=-1).T
    torch.testing.assert_close(output.logits[CLASS_MASK], expected[CLASS_MASK])
    assert (output.logits[~CLASS_MASK] == -math.inf).all()
    rows = zip(expected, CLASS_MASK, (2, 3, 6))
    losses = [-(scores[label] - scores[allowed].logsumexp(0)) for scores, allowed, label in rows]
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())


def test_conditioned_prompts_start_from_those_that_are_not() -> None:
    given, clip = inputs(), golden_clip()
    plain, conditioned = LearnedPrompts(WIDTH), LearnedPrompts(WIDTH, feature_dim=DIM)
    conditioned.load_state_dict(plain.state_dict(), strict=False)
    expected = PromptClassifier(clip, plain)(**given).logits
    torch.testing.assert_close(PromptClassifier(clip, conditioned)(**given).logits, expected, rtol=1e-4, atol=1e-3)


def test_each_row_is_classified_with_its_own_object() -> None:
    given = inputs()
    classifier = PromptClassifier(golden_clip(), conditioned_prompts())
    together = classifier(**given).logits
    alone = {name: values[1:2] for name, values in given.items() if name not in ("input_ids", "attention_mask")}
    row = classifier(**{**given, **alone}).logits
    torch.testing.assert_close(row, together[1:2], rtol=1e-4, atol=1e-3)
    moved = classifier(**{**given, "object_features": given["object_features"].roll(1, 0)}).logits
    assert not torch.allclose(moved[CLASS_MASK], together[CLASS_MASK])


@pytest.mark.parametrize("conditioned", [False, True])
def test_only_prompts_learn_and_are_stored(conditioned: bool) -> None:
    clip = golden_clip()
    classifier = PromptClassifier(clip, conditioned_prompts() if conditioned else golden_prompts())
    classifier(**inputs(), labels=torch.tensor([0, 4, 5])).loss.backward()
    assert {parameter.grad for parameter in clip.parameters()} == {None}
    assert {bool(parameter.grad.any()) for parameter in classifier.parameters()} == {True}
    assert {name.partition(".")[0] for name in classifier.state_dict()} == {"prompts"}
    assert not classifier.train().clip.training


def test_clip_moves_with_the_classifier() -> None:
    classifier = PromptClassifier(golden_clip(), golden_prompts()).double()
    assert classifier.clip.dtype is torch.float64
