"""Scores of prompts, tuned and written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.training import StockCLIP, classify_parts
from ovparts_hf.training.prompt_tuning.scores import summarize


def test_scores(pascal: PartDataset, tiny_clip: Path, tmp_path: Path) -> None:
    clip = StockCLIP.load(tiny_clip)
    torch.manual_seed(0)
    prompts = LearnedPrompts(32, 2, 1, 1)
    options = {"region_size": 32, "cache": tmp_path}
    scores = classify_parts(clip, pascal, prompts, fuse_weight=1.0, **options)
    assert scores.keys() == {
        f"{kind}_{group}" for kind in ("accuracy", "class_accuracy") for group in ("seen", "unseen", "harmonic")
    }
    assert prompts.fuse_weight == 0  # what was given is not changed
    by_hand = classify_parts(clip, pascal, "{object} {part}", **options)
    assert by_hand != scores
    for template in ("a {object}", "{part} {colour}", "{part} {"):
        with pytest.raises(ConfigurationError, match="must name {part}"):
            classify_parts(clip, pascal, template, **options)


def test_summary_counts_regions_and_classes() -> None:
    true, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 0, 2, 0])
    scores = summarize(predicted, true, seen_ids=(0, 1))
    assert scores["accuracy_seen"] == pytest.approx(50)
    assert scores["class_accuracy_seen"] == pytest.approx(100 * (2 / 3 + 0) / 2)
    assert scores["accuracy_unseen"] == scores["class_accuracy_unseen"] == pytest.approx(50)
    assert scores["accuracy_harmonic"] == pytest.approx(50)
    assert np.isnan(summarize(predicted, true, seen_ids=(0, 1, 2))["accuracy_unseen"])
