"""Choosing classes per step: what is labelled stays, labels follow, every step differs, every process agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from ovparts_hf.training.vocabulary import Vocabulary

IGNORE = 255
NUM_CLASSES = 20
TOKENS = {
    "input_ids": torch.arange(NUM_CLASSES)[:, None] * torch.ones(1, 3, dtype=torch.long),
    "attention_mask": torch.ones(NUM_CLASSES, 3, dtype=torch.long),
}


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def pieces(*classes: int) -> list[dict[str, torch.Tensor]]:
    """One piece for each class, half of its pixels unlabelled."""
    return [
        {"labels": torch.tensor([[[label, IGNORE], [IGNORE, label]]]), "pixel_values": torch.zeros(1)}
        for label in classes
    ]


@pytest.mark.parametrize("size", [None, NUM_CLASSES, 50])
def test_without_choice_everything_stays(accelerator: Accelerator, size: int | None) -> None:
    given = pieces(3, 7)
    tokens, found = Vocabulary(TOKENS, IGNORE, size, seed=0).for_step(0, given, accelerator)
    assert tokens == TOKENS
    assert all(ours is theirs for ours, theirs in zip(found, given))


def test_labelled_classes_are_chosen_and_relabelled(accelerator: Accelerator) -> None:
    given = pieces(3, 17, 3)
    tokens, found = Vocabulary(TOKENS, IGNORE, 6, seed=0).for_step(4, given, accelerator)
    chosen = tokens["input_ids"][:, 0]
    assert len(chosen) == len(chosen.unique()) == len(tokens["attention_mask"]) == 6
    assert {3, 17} <= set(chosen.tolist())
    for before, after in zip(given, found):
        labelled = before["labels"] != IGNORE
        assert torch.equal(chosen[after["labels"][labelled]], before["labels"][labelled])
        assert (after["labels"][~labelled] == IGNORE).all()
        assert after["pixel_values"] is before["pixel_values"]


def test_no_labelled_class_is_dropped(accelerator: Accelerator) -> None:
    tokens, _ = Vocabulary(TOKENS, IGNORE, 2, seed=0).for_step(0, pieces(1, 5, 9, 13), accelerator)
    assert tokens["input_ids"][:, 0].tolist() == [1, 5, 9, 13]


def test_choice_depends_on_seed_and_step_alone_and_is_fair(accelerator: Accelerator) -> None:
    def choice(seed: int, step: int) -> list[int]:
        tokens, _ = Vocabulary(TOKENS, IGNORE, 5, seed).for_step(step, pieces(0), accelerator)
        return tokens["input_ids"][:, 0].tolist()

    assert choice(1, 2) == choice(1, 2)
    assert len({tuple(choice(1, step)) for step in range(10)}) > 8
    assert choice(1, 2) != choice(2, 2)
    counts = np.bincount([label for step in range(950) for label in choice(0, step)], minlength=NUM_CLASSES)
    assert counts[0] == 950
    assert counts[1:].min() > 140  # 4 of 19 in each step: 200 on average
    assert counts[1:].max() < 260
