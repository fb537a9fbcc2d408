"""Prompts learn, their features are computed once, and a run goes on where it stopped."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoTokenizer, CLIPConfig, CLIPModel

from dataset_builders import ToyWorld
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.errors import ConfigurationError, DatasetError, OVPartsError
from ovparts_hf.models.clip_regions import object_and_part_features
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.training import PromptTuningArguments, StockCLIP, TrainingInterrupted, classify_parts, tune_prompts
from ovparts_hf.training.prompt_tuning import features as features_module
from ovparts_hf.training.prompt_tuning.features import FeatureCache
from ovparts_hf.training.prompt_tuning.loop import PromptTuningIngredients, RegionSet, choose_samples
from ovparts_hf.training.prompt_tuning.scores import summarize

from .tiny import log_lines

TOY_CLIP = Path(__file__).parents[2] / "ovparts_hf" / "toy" / "clip"
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
ZERO_SHOT = get_task("zero_shot")


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP of two layers that knows the toy tokenizer's words."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOY_CLIP)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 40, "eos_token_id": tokenizer.eos_token_id}
    vision = {"image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config={**layers, **text}, vision_config={**layers, **vision}, projection_dim=24)
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.copy(TOY_CLIP / "preprocessor_config.json", folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, tiny_clip: Path, pascal_folder: Path) -> Callable[..., PromptTuningArguments]:
    def build(**changes: Any) -> PromptTuningArguments:
        values = {
            "data": pascal_folder,
            "output": tmp_path / "run",
            "model": tiny_clip,
            "cache": tmp_path / "features",
            "region_size": 32,
            "steps": 6,
            "batch_size": 8,
            "warmup_steps": 0,
            "log_every": 1,
            "max_grad_norm": 1.0,
            "workers": 0,
        }
        return PromptTuningArguments(**{**values, **changes})

    return build


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects CLIP looked at, each time it did."""
    counts, look = [], features_module.patch_features

    def counted(clip: CLIPModel, regions: torch.Tensor) -> torch.Tensor:
        counts.append(len(regions))
        return look(clip, regions)

    monkeypatch.setattr(features_module, "patch_features", counted)
    return counts


def prompts_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "last" / "model.safetensors")


@pytest.mark.parametrize("image_conditioned", [False, True])
def test_tuning_lowers_the_loss(settings: Callable, image_conditioned: bool) -> None:
    folder = tune_prompts(settings(steps=60, image_conditioned=image_conditioned))
    losses = [line["loss"] for line in log_lines(folder)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    tuned = LearnedPrompts.from_pretrained(folder / "last")
    assert tuned.lengths == (4, 4, 0)
    assert (tuned.meta_net is not None) == image_conditioned
    assert tuned.fuse_weight != 1.0
    state = load_file(next((folder / "states").iterdir()) / "model.safetensors")
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
    for name, values in prompts_of(whole).items():
        assert torch.equal(values, prompts_of(resumed)[name]), name


def test_seed_decides(settings: Callable, tmp_path: Path) -> None:
    runs = [tune_prompts(settings(output=tmp_path / str(i), seed=seed, steps=1)) for i, seed in enumerate((0, 0, 1))]
    same, again, other = (prompts_of(folder)["prefix_prompt"] for folder in runs)
    assert torch.equal(same, again)
    assert not torch.allclose(same, other)


def test_clip_looks_at_an_object_once(settings: Callable, looks: list[int], tmp_path: Path) -> None:
    first = tune_prompts(settings(output=tmp_path / "a"))
    regions = PromptTuningIngredients.load(settings()).training_set(settings())
    objects = len({tuple(row.tolist()) for row in regions.features.object_features})
    assert sum(looks) == objects
    looks.clear()
    second = tune_prompts(settings(output=tmp_path / "b"))
    assert not looks
    assert all(torch.equal(values, prompts_of(second)[name]) for name, values in prompts_of(first).items())
    tune_prompts(settings(output=tmp_path / "c", crop_ratio=1.5))
    assert sum(looks) == objects


def test_interrupted_encoding_goes_on(
    pascal: PartDataset, tiny_clip: Path, tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "OBJECTS_PER_FILE", 2)
    clip = StockCLIP.load(tiny_clip)
    records = pascal.evaluation_records(ZERO_SHOT)[:5]
    read = PartDataset.read

    def interrupted(self: PartDataset, record: Any) -> Any:
        if record == records[3]:
            raise KeyboardInterrupt
        return read(self, record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PartDataset, "read", interrupted)
        FeatureCache(tmp_path, clip, pascal, region_size=32).objects(records)
    assert sum(looks) == 2
    found = FeatureCache(tmp_path, clip, pascal, region_size=32).objects(records)
    assert sum(looks) == 5
    fresh = FeatureCache(None, clip, pascal, region_size=32).objects(records)
    assert found.keys() == fresh.keys() == set(records)
    for record, features in fresh.items():
        torch.testing.assert_close(found[record], features)


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_features_are_those_of_the_model(name: str, tiny_clip: Path, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    clip = StockCLIP.load(tiny_clip)
    record = dataset.evaluation_records(ZERO_SHOT)[1]
    sample, parts = dataset.read(record), dataset.parts_in(record)
    assert set(parts) == set(sample.part_map[sample.part_map != dataset.taxonomy.ignore_index].tolist())
    pixels = (_pixels(sample.image) - 0.5) / 0.25  # as its preprocessor says
    object_mask = torch.from_numpy(sample.object_map == record.object_id)
    part_masks = torch.stack([torch.from_numpy(sample.part_map == part) for part in parts])
    with torch.no_grad():
        whole, of_parts = object_and_part_features(clip.model, pixels, object_mask, part_masks, 1.2, 32)
    samples = [(record, part) for part in parts]
    rows = FeatureCache(None, clip, dataset, region_size=32).rows(samples)
    torch.testing.assert_close(rows.part_features, of_parts, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rows.object_features, whole.expand(len(parts), -1), rtol=1e-5, atol=1e-5)
    assert rows.part_ids.tolist() == list(parts)
    assert set(rows.object_ids.tolist()) == {record.object_id}


def _pixels(image: Image.Image) -> torch.Tensor:
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, 3).permute(2, 0, 1) / 255


def test_only_parts_of_seen_objects_are_learned(settings: Callable, pascal: PartDataset) -> None:
    regions = PromptTuningIngredients.load(settings()).training_set(settings())
    assert set(regions.features.part_ids.tolist()) <= set(pascal.taxonomy.seen_part_ids)
    for row in range(len(regions)):
        part = regions.features.part_ids[row].item()
        name = pascal.taxonomy.part_classes[part]
        assert regions.target.part_classes[regions.labels[row]] == name
        asked = [regions.target.part_classes[i] for i in regions.class_mask[row].nonzero()]
        assert asked == [
            pascal.taxonomy.part_classes[i] for i in pascal.taxonomy.parts_of(pascal.taxonomy.object_of(part))
        ]


def test_samples_are_drawn_evenly(pascal: PartDataset) -> None:
    target = ZERO_SHOT.train_taxonomy(pascal.taxonomy)
    records = pascal.training_records(ZERO_SHOT, "object")
    every = choose_samples(pascal, records, target, None, 0)
    drawn = choose_samples(pascal, records, target, 1, 0)
    assert set(drawn) < set(every)
    assert sorted(part for _, part in drawn) == sorted({part for _, part in every})
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
            tune_prompts(settings(**changes))
    with pytest.raises(ConfigurationError, match="samples_per_class is 0"):
        settings(samples_per_class=0)
    with pytest.raises(ConfigurationError, match=r"Unknown training arguments \['flip'\]"):
        PromptTuningArguments.from_dict({"flip": 0.5})
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


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


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "toy"
    return write_repository(ToyWorld({"train": 500, "validation": 150}), out, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cptcoop", "cptcocoop"])
def test_tuned_prompts_name_parts_of_unseen_objects_better(name: str, toy_folder: Path, tmp_path: Path) -> None:
    places = [f"data={toy_folder}", f"output={tmp_path / 'run'}", f"cache={toy_folder.parent / 'features'}"]
    recipe = RECIPES / "toy-world" / "zero_shot" / f"{name}.yaml"
    folder = tune_prompts(PromptTuningArguments.from_recipe(recipe, [*places, "workers=0"]))
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
