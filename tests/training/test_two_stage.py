"""Two-stage models from arguments to scores: trained for a few steps, saved, loaded again and evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.taxonomy import PASCAL_PART_116
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.training import TrainArguments, train
from ovparts_hf.training.setup import TrainingSetup

from .tiny import log_lines

PLAIN = {"object_mask_prompt": False, "prompt_lengths": None}
SMALL = {"num_queries": 6, "region_size": 48}


def arguments(data: Path, output: Path, **changes: Any) -> TrainArguments:
    settings: dict[str, Any] = {
        "data": data,
        "output": output,
        "model": "toy-zsseg",
        "config": SMALL,
        "trainable": "segmenter",
        "level": "object",
        "steps": 3,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "lr_multipliers": {"pixel_level_module.backbone.": 0.1},
        "short_edges": [64],
        "max_size": 96,
        "crop_size": 64,
        "workers": 0,
        "eval_every": 0,
        "log_every": 1,
    }
    return TrainArguments(**{**settings, **changes})


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in log_lines(folder) if "loss" in line]


def tuned_prompts(folder: Path, conditioned: bool) -> Path:
    torch.manual_seed(3)
    width = load_model("toy-zsseg")[0].config
    prompts = LearnedPrompts(width.text_config.hidden_size, 4, 4, 0, width.projection_dim if conditioned else None)
    with torch.no_grad():
        for parameter in prompts.parameters():
            parameter.normal_(std=0.02)
        prompts.fuse_weight.fill_(0.6)
    prompts.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("conditioned", [False, True], ids=["cptcoop", "cptcocoop"])
def test_zsseg_plus(conditioned: bool, pascal_folder: Path, pascal: PartDataset, tmp_path: Path) -> None:
    prompts = tuned_prompts(tmp_path / "prompts", conditioned)
    config = {**SMALL, "image_conditioned_prompts": conditioned}
    given = arguments(pascal_folder, tmp_path / "run", config=config, prompts=prompts, eval_every=3)
    folder = train(given)
    assert len(losses(folder)) == 3 and np.isfinite(losses(folder)).all()

    torch.manual_seed(given.seed)
    before, _ = load_model("toy-zsseg", **config)
    after, processor = load_model(folder / "last")
    assert after.config.seen_class_names == list(PASCAL_PART_116.seen().part_classes)
    tuned = LearnedPrompts.from_pretrained(prompts).state_dict()
    old, new = before.state_dict(), after.state_dict()
    frozen = {name: tensor for name, tensor in old.items() if name.startswith("clip.")}
    expected = {**frozen, **{f"prompts.{name}": tensor for name, tensor in tuned.items()}}
    assert frozen and tuned
    for name, tensor in expected.items():
        assert torch.equal(new[name], tensor), name
    for name in ("no_object_embedding", "pixel_level_module.backbone.embedder.embedder.convolution.weight"):
        assert not torch.equal(old[name], new[name]), name

    result = evaluate_model(after, processor, pascal, max_images=2)
    assert all(0 <= result.metrics[name] <= 100 for name in ("mIoU_seen", "pixel_accuracy"))
    records = pascal.evaluation_records(get_task("zero_shot"))[:6]
    predictor = Predictor(after, processor, pascal, compat=None)
    together = list(predictor.predict(records))
    assert len({(record.split, record.row) for record in records}) < len(records)
    for record, prediction in zip(records, together, strict=True):
        [alone] = predictor.predict([record])
        assert np.array_equal(alone.label_map, prediction.label_map)
        assert set(np.unique(prediction.label_map)) <= set(PASCAL_PART_116.parts_of(record.object_id))
    assert len({tuple(np.unique(prediction.label_map)) for prediction in together}) > 1


def test_other_prompts_encode_the_stored_vocabulary_again(pascal_folder: Path, tmp_path: Path) -> None:
    first = TrainingSetup.load(arguments(pascal_folder, tmp_path / "run"))
    first.model.save_pretrained(tmp_path / "model")
    first.processor.save_pretrained(tmp_path / "model")
    prompts = tuned_prompts(tmp_path / "prompts", conditioned=False)
    again = TrainingSetup.load(arguments(pascal_folder, tmp_path / "run", model=tmp_path / "model", prompts=prompts))
    assert again.model.vocabulary == first.model.vocabulary == list(PASCAL_PART_116.part_classes)
    kept = again.model.class_features
    assert not torch.allclose(kept, first.model.class_features, atol=1e-3)
    again.model.forget_vocabulary()
    fresh = again.model.encode_class_names(again.processor, PASCAL_PART_116.part_classes)
    torch.testing.assert_close(kept, fresh, atol=1e-5, rtol=0)


def test_plain_zsseg(pascal_folder: Path, pascal: PartDataset, tmp_path: Path) -> None:
    config = {**SMALL, **PLAIN, "ensemble_weight": 0.7}
    folder = train(arguments(pascal_folder, tmp_path / "run", config=config, level=None))
    model, processor = load_model(folder / "last")
    assert model.prompts is None
    assert len(losses(folder)) == 3 and np.isfinite(losses(folder)).all()
    assert evaluate_model(model, processor, pascal, max_images=1).metrics["pixel_accuracy"] >= 0


def test_object_masks_reach_the_training_step(pascal_folder: Path, tmp_path: Path) -> None:
    given = arguments(pascal_folder, tmp_path / "run")
    loaded, seen = TrainingSetup.load(given), []
    forward = loaded.model.forward

    def spy(**inputs: torch.Tensor) -> Any:
        seen.append({name: tensor.shape for name, tensor in inputs.items() if name in ("object_masks", "labels")})
        return forward(**inputs)

    loaded.model.forward = spy
    train(given, loaded)
    assert seen == [{"object_masks": (2, 64, 64), "labels": (2, 64, 64)}] * 3


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_maskformer(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data, dataset = request.getfixturevalue(f"{name}_folder"), request.getfixturevalue(name)
    options = {"model": "toy-maskformer", "task": "supervised", "trainable": "all", "config": {"num_queries": 6}}
    folder = train(arguments(data, tmp_path / "run", level=None, learning_rate=3e-3, steps=8, **options))
    assert np.mean(losses(folder)[-2:]) < losses(folder)[0]
    model, processor = load_model(folder / "last")
    assert tuple(model.config.id2label.values()) == dataset.taxonomy.part_classes
    assert model.config.ignore_index == dataset.taxonomy.ignore_index
    result = evaluate_model(model, processor, dataset, "supervised", max_images=2)
    assert 0 <= result.metrics["mIoU"] <= 100


def test_refusals_leave_nothing_behind(pascal_folder: Path, tmp_path: Path) -> None:
    output, prompts = tmp_path / "run", tuned_prompts(tmp_path / "prompts", conditioned=True)
    with pytest.raises(ConfigurationError, match="Tune them for this CLIP"):
        train(arguments(pascal_folder, output, prompts=prompts))
    with pytest.raises(ConfigurationError, match="has no learned prompts"):
        train(arguments(pascal_folder, output, prompts=prompts, config={**SMALL, **PLAIN}))
    with pytest.raises(ConfigurationError, match="holds no tuned prompts"):
        train(arguments(pascal_folder, output, prompts=tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="set crop_size"):
        train(arguments(pascal_folder, output, crop_size=None))
    assert not output.exists()
