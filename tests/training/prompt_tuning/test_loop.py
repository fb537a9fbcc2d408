"""Prompts learn, a run resumes where it stopped, and tuned prompts classify unseen parts better."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import ToyWorld
from ovparts_hf.errors import ConfigurationError, DatasetError, OVPartsError
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.training import PromptTuningArguments, StockCLIP, TrainingInterrupted, classify_parts, tune_prompts
from ovparts_hf.training.prompt_tuning.loop import PromptTuningSetup, RegionSet, choose_samples

from ..tiny import assert_same_weights, log_lines, weights

RECIPES = Path(__file__).parents[3] / "examples" / "recipes"
ZERO_SHOT = get_task("zero_shot")


@pytest.mark.parametrize("image_conditioned", [False, True])
def test_tuning_lowers_the_loss(settings: Callable, image_conditioned: bool) -> None:
    folder = tune_prompts(settings(steps=40, image_conditioned=image_conditioned))
    losses = [line["loss"] for line in log_lines(folder)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    tuned = LearnedPrompts.from_pretrained(folder / "last")
    assert tuned.lengths == (4, 4, 0)
    assert (tuned.meta_net is not None) == image_conditioned
    assert tuned.fuse_weight != 1.0
    state = load_file(next((folder / "checkpoints").iterdir()) / "model.safetensors")
    assert {name.partition(".")[0] for name in state} == {"prompts"}


@pytest.mark.parametrize("image_conditioned", [False, True])
def test_resumed_run_learns_the_same(
    settings: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_conditioned: bool
) -> None:
    whole = tune_prompts(settings(output=tmp_path / "whole", image_conditioned=image_conditioned))
    read, count = RegionSet.__getitem__, 0

    def stopped_in_step_3(self: RegionSet, draw: Any) -> dict[str, torch.Tensor]:
        nonlocal count
        count += 1
        if count == 2 * 8 + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(self, draw)

    with monkeypatch.context() as patch:
        patch.setattr(RegionSet, "__getitem__", stopped_in_step_3)
        with pytest.raises(TrainingInterrupted):
            tune_prompts(settings(image_conditioned=image_conditioned))
    assert not (tmp_path / "run" / "last").exists()
    resumed = tune_prompts(settings(image_conditioned=image_conditioned, resume=True))
    assert log_lines(resumed) == log_lines(whole)
    assert_same_weights(whole, resumed)


def test_seed_decides(settings: Callable, tmp_path: Path) -> None:
    runs = [tune_prompts(settings(output=tmp_path / str(i), seed=seed, steps=1)) for i, seed in enumerate((0, 0, 1))]
    same, again, other = (weights(folder)["prefix_prompt"] for folder in runs)
    assert torch.equal(same, again)
    assert not torch.allclose(same, other)


def test_clip_encodes_an_object_once(settings: Callable, encoded_counts: list[int], tmp_path: Path) -> None:
    settings = partial(settings, cache=tmp_path / "features")
    first = tune_prompts(settings(output=tmp_path / "a"))
    regions = PromptTuningSetup.load(settings()).training_set(settings())
    objects = len({tuple(row.tolist()) for row in regions.features.object_features})
    assert sum(encoded_counts) == objects
    encoded_counts.clear()
    second = tune_prompts(settings(output=tmp_path / "b"))
    assert not encoded_counts
    assert_same_weights(first, second)
    tune_prompts(settings(output=tmp_path / "c", crop_ratio=1.5))
    assert sum(encoded_counts) == objects


def test_only_parts_of_seen_objects_are_learned(settings: Callable, pascal: PartDataset) -> None:
    regions = PromptTuningSetup.load(settings()).training_set(settings())
    assert set(regions.features.part_ids.tolist()) <= set(pascal.taxonomy.seen_part_ids)
    assert len(regions) > 0
    for row in range(len(regions)):
        part = regions.features.part_ids[row].item()
        name = pascal.taxonomy.part_classes[part]
        assert regions.target.part_classes[regions.labels[row]] == name
        candidates = [regions.target.part_classes[i] for i in regions.class_mask[row].nonzero()]
        assert candidates == [
            pascal.taxonomy.part_classes[i] for i in pascal.taxonomy.parts_of(pascal.taxonomy.object_of(part))
        ]


def test_samples_are_drawn_evenly(pascal: PartDataset) -> None:
    target = ZERO_SHOT.train_taxonomy(pascal.taxonomy)
    records = pascal.training_records(ZERO_SHOT, "object")
    everything = choose_samples(pascal, records, target, None, 0)
    drawn = choose_samples(pascal, records, target, 1, 0)
    assert set(drawn) < set(everything)
    assert sorted(part for _, part in drawn) == sorted({part for _, part in everything})
    assert drawn == choose_samples(pascal, records, target, 1, 0)
    assert drawn != choose_samples(pascal, records, target, 1, 1)
    with pytest.raises(DatasetError, match="No training object"):
        choose_samples(pascal, [], target, 1, 0)


def test_bad_settings_fail_before_any_work(settings: Callable, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    for changes, message in (
        ({"region_size": 33}, "multiple of CLIP's 8 pixels"),
        ({"model": other}, "is a 'bert' model"),
        ({"model": other / "nothing"}, "No CLIP with a preprocessor"),
        ({"prefix": 0, "connect": 0}, "at least one of them 1"),
        ({"prefix": 40}, "at most 40"),
    ):
        with pytest.raises(OVPartsError, match=message):
            tune_prompts(settings(cache=tmp_path / "features", **changes))
    with pytest.raises(ConfigurationError, match="samples_per_class is 0"):
        settings(samples_per_class=0)
    with pytest.raises(ConfigurationError, match=r"Unknown training arguments \['flip'\]"):
        PromptTuningArguments.from_dict({"flip": 0.5})
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "toy"
    return write_repository(ToyWorld({"train": 150, "validation": 60}), out, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cptcoop", "cptcocoop"])
def test_tuned_prompts_classify_parts_of_unseen_objects_better(name: str, toy_folder: Path, tmp_path: Path) -> None:
    places = [f"data={toy_folder}", f"output={tmp_path / 'run'}", f"cache={toy_folder.parent / 'features'}"]
    recipe = RECIPES / "toy-world" / "zero_shot" / f"{name}.yaml"
    folder = tune_prompts(PromptTuningArguments.from_recipe(recipe, [*places, "workers=0", "steps=140"]))
    tuned = LearnedPrompts.from_pretrained(folder / "last")
    clip = StockCLIP.load("toy")
    dataset = PartDataset.load(toy_folder)
    options = {"region_size": 96, "cache": toy_folder.parent / "features"}
    scores = classify_parts(clip, dataset, tuned, **options)
    for template in ("{object} {part}", "a photo of the {part} of a {object}."):
        by_hand = classify_parts(clip, dataset, template, **options)
        assert scores["accuracy_seen"] > by_hand["accuracy_seen"] + 10
        assert scores["accuracy_unseen"] > by_hand["accuracy_unseen"] + 5
        fused = classify_parts(clip, dataset, template, fuse_weight=tuned.fuse_weight.item(), **options)
        assert scores["accuracy_harmonic"] > fused["accuracy_harmonic"] + 5
