"""Runs made from arguments alone: the real model, processor, data and evaluation together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ovparts_hf.cli import main
from ovparts_hf.data.augmentation import ColorJitter, PadTo, RandomCrop, RandomFlip, ResizeShortEdge, SwapChannels
from ovparts_hf.data.few_shot import FewShotList
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.training_set import EpochIndex
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.evaluation import evaluator
from ovparts_hf.models.clipseg import modeling_clipseg
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy import PASCAL_PART_116
from ovparts_hf.training import TrainArguments, train
from ovparts_hf.training.dry_run import estimate_run
from ovparts_hf.training.setup import TrainingSetup, build_transform

from ..models.partcatseg.stock import CLIP, FIELDS, save_dino
from .tiny import assert_same_weights, log_lines


def arguments(data: Path, model: Path, output: Path, **changes: object) -> TrainArguments:
    settings: dict[str, object] = {
        "data": data,
        "model": model,
        "output": output,
        "steps": 4,
        "batch_size": 2,
        "classes_per_image": 8,
        "short_edges": [90],
        "max_size": 120,
        "workers": 0,
        "eval_every": 0,
        "log_every": 1,
    }
    return TrainArguments(**{**settings, **changes})


def test_fine_tunes_a_pretrained_model_on_pascal(
    pretrained: Path, pascal_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "bootstrap", None)  # evaluations during training need no intervals
    options = {"learning_rate": 1e-3, "image_format": "BGR", "classes_per_image": None}
    given = arguments(pascal_folder, pretrained, tmp_path / "run", eval_every=4, **options)
    folder = train(given)
    lines = log_lines(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]
    assert lines[3]["loss"] < lines[0]["loss"]
    assert 0 <= lines[4]["eval_hIoU"] <= 100
    torch.manual_seed(given.seed)
    before, _ = load_model(pretrained, for_training=True)
    after, processor = load_model(folder / "best")
    assert after.config.ignore_index == 255
    assert processor(classes=["dog's ear"])["input_ids"].ndim == 2
    trained = {"visual_adapter.", "clip.text_model.embeddings.", "decoder."}
    changed = {
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert changed
    assert all(name.startswith(tuple(trained)) for name in changed)
    assert {"visual_adapter.down.weight", "decoder.film_mul.weight"} <= changed
    assert "clip.text_model.embeddings.token_embedding.weight" in changed


def test_parts_and_objects_are_learned_with_their_names(pretrained: Path, ade_folder: Path, tmp_path: Path) -> None:
    """From instances, by a model that is told where whole objects are; its text encoder is trained."""
    options = {"family": "partclipseg", "classes_per_image": None, "steps": 2, "batch_size": 1, "learning_rate": 1e-3}
    given = arguments(ade_folder, pretrained, tmp_path / "run", **options)
    setup = TrainingSetup.load(given)
    examples = setup.training_set(given)
    example = examples[EpochIndex(0, 0)]
    for name in ("labels", "object_labels"):
        assert (example[name] != 65535).any()
    inputs = setup.class_inputs(examples.target)
    assert inputs["input_ids"].shape[:2] == (len(examples.target.part_classes), 3)
    assert inputs["name_ids"].shape == (len(examples.target.part_classes), 2)
    folder = train(given)
    model, processor = load_model(folder / "last")
    assert model.config.model_type == "ovparts_partclipseg"
    assert model.class_features.shape[:2] == (234, 3) and len(model.vocabulary) == 234
    torch.manual_seed(given.seed)
    before, _ = load_model(pretrained, "partclipseg")
    for name in ("condition_projection", "part_projection", "part_object_convolution.4", "film_mul"):
        assert not torch.equal(before.decoder.get_submodule(name).weight, model.decoder.get_submodule(name).weight)
    assert torch.equal(before.none_embedding, model.none_embedding)
    assert len(processor(classes=["dog's ear"])["input_ids"][0]) == 3


@pytest.fixture(scope="module")
def first(pretrained: Path, ade_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has been trained for one step on ADE20K-Part-234; not to be changed."""
    return train(arguments(ade_folder, pretrained, tmp_path_factory.mktemp("first") / "run", steps=1)) / "last"


def test_own_model_goes_on_with_another_loss_on_ade(first: Path, ade_folder: Path, tmp_path: Path) -> None:
    options = {"steps": 2, "loss": "ce_dice", "task": "few_shot", "trainable": "VA+L+F"}
    second = train(arguments(ade_folder, first, tmp_path / "second", **options))
    model, _ = load_model(second / "last")
    assert model.config.segmentation_loss == "ce_dice"
    assert model.config.ignore_index == 65535
    start, _ = load_model(first)
    assert torch.equal(start.decoder.reduces[0].weight, model.decoder.reduces[0].weight)
    assert not torch.equal(start.decoder.film_mul.weight, model.decoder.film_mul.weight)


@pytest.mark.parametrize("trainable", ["VA+F", "VA+L+F"])
def test_a_trained_model_keeps_the_vocabulary_of_its_dataset(
    trainable: str, first: Path, pascal_folder: Path, ade: PartDataset, tmp_path: Path
) -> None:
    """Also if its text encoder learned, and whatever vocabulary it started with."""
    names = list(PartDataset.load(pascal_folder).taxonomy.part_classes)
    model, processor = load_model(first)
    assert model.vocabulary == list(ade.taxonomy.part_classes)
    options = {"steps": 2, "learning_rate": 0.1, "eval_every": 2, "trainable": trainable}
    folder = train(arguments(pascal_folder, first, tmp_path / "second", **options))
    untrained = model.encode_class_names(processor, names[:5])
    for name in ("best", "last"):
        model, processor = load_model(folder / name)
        assert model.vocabulary == names
        kept, few = model.class_features, names[:5]
        model.forget_vocabulary()
        torch.testing.assert_close(kept[:5], model.encode_class_names(processor, few), atol=1e-5, rtol=0)
        assert torch.allclose(kept[:5], untrained, atol=1e-5) == (trainable == "VA+F")


def test_a_trainable_text_encoder_learns_without_a_stored_vocabulary(
    pretrained: Path, pascal_folder: Path, tmp_path: Path
) -> None:
    for trainable, stored in (("VA+F", True), ("VA+L+F", False)):
        loaded = TrainingSetup.load(arguments(pascal_folder, pretrained, tmp_path, trainable=trainable))
        assert (loaded.model.vocabulary is not None) == stored
        with loaded.ready_to_save():
            assert loaded.model.vocabulary == loaded.vocabulary
        assert (loaded.model.vocabulary is not None) == stored


def test_resuming_the_real_model_is_exact(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    def run(name: str, **changes: object) -> Path:
        given = arguments(pascal_folder, pretrained, tmp_path / name, steps=3, save_every=2, **changes)
        torch.manual_seed(given.seed)
        loaded = TrainingSetup.load(given)
        if name == "parts" and not given.resume:
            read, calls = loaded.dataset.read, []
            loaded.dataset.read = lambda record: calls.append(record) or (read(record) if len(calls) < 6 else 1 / 0)
        return train(given, loaded)

    whole = run("whole")
    with pytest.raises(ZeroDivisionError):
        run("parts")
    resumed = run("parts", resume=True)
    expected = load_model(whole / "last")[0].state_dict()
    for name, tensor in load_model(resumed / "last")[0].state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_gradient_checkpointing_learns_the_same(
    pretrained: Path, pascal_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(modeling_clipseg.PAIRS_AT_ONCE, "cpu", 5)
    folders = []
    for checkpointing in (False, True):
        given = arguments(
            pascal_folder,
            pretrained,
            tmp_path / str(checkpointing),
            gradient_checkpointing=checkpointing,
            optimizer="sgd",
            learning_rate=1.0,
            steps=2,
        )
        torch.manual_seed(0)
        loaded = TrainingSetup.load(given)
        assert loaded.model.decoder.gradient_checkpointing is checkpointing
        folders.append(train(given, loaded))
    assert_same_weights(*folders, tolerance=1e-5)


def test_pixels_and_labels_of_the_benchmark_recipe(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    given = {
        order: arguments(pascal_folder, pretrained, tmp_path, flip=0, image_format=order) for order in ("RGB", "BGR")
    }
    loaded = TrainingSetup.load(given["RGB"])
    rgb, bgr = (loaded.training_set(value) for value in given.values())
    side = loaded.processor.image_processor.size["height"]
    example = rgb[EpochIndex(0, 1)]
    assert example["labels"].shape == (side, side)
    original = loaded.dataset.read(rgb.records[1]).image
    width, height = original.size
    factor = min(90 / min(original.size), 120 / max(original.size))
    image = original.resize((int(width * factor + 0.5), int(height * factor + 0.5)), 2)
    assert torch.equal(example["pixel_values"], loaded.processor(images=[image])["pixel_values"][0])
    swapped = loaded.processor(images=[np.asarray(image)[..., ::-1].transpose(2, 0, 1).copy()])["pixel_values"][0]
    assert torch.equal(bgr[EpochIndex(0, 1)]["pixel_values"], swapped)


def test_augmentations_come_in_the_benchmark_order(tmp_path: Path) -> None:
    given = arguments(tmp_path, tmp_path, tmp_path, crop_size=32, color_jitter=True, image_format="BGR")
    kinds = [type(step) for step in build_transform(given, 255).transforms]
    assert kinds == [ResizeShortEdge, RandomCrop, ColorJitter, RandomFlip, PadTo, SwapChannels]
    kinds = [type(step) for step in build_transform(arguments(tmp_path, tmp_path, tmp_path), 255).transforms]
    assert kinds == [ResizeShortEdge, RandomFlip]
    unscaled = arguments(tmp_path, tmp_path, tmp_path, short_edges=None)
    kinds = [type(step) for step in build_transform(unscaled, 255).transforms]
    assert kinds == [RandomFlip]


def test_refusals_leave_nothing_behind(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.raises(ConfigurationError, match="'Everything'"):
        train(arguments(pascal_folder, pretrained, output, trainable="Everything"))
    with pytest.raises(ConfigurationError, match="No model configuration"):
        train(arguments(pascal_folder, tmp_path / "nowhere", output))
    with pytest.raises(DatasetError, match="nowhere"):
        train(arguments(tmp_path / "nowhere", pretrained, output))
    assert not output.exists()


def test_a_resnet_for_a_model_without_one_is_refused(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    run = arguments(pascal_folder, pretrained, tmp_path / "out", backbone="timm/resnet50.tv_in1k")
    with pytest.raises(ConfigurationError, match="a CLIPSegForPartSegmentation has none: leave it out"):
        train(run)
    run = arguments(pascal_folder, Path("toy-partcatseg"), tmp_path / "out", backbone="timm/resnet50.tv_in1k")
    with pytest.raises(ConfigurationError, match="name its own weights by config: {backbone_weights: ...}"):
        train(run)


def test_trains_from_clip_and_dino_in_folders(garden_folder: Path, tmp_path: Path) -> None:
    """DINOv2, named in the configuration, learns a hundred times more slowly than what is new."""
    stock = save_dino(tmp_path / "dino").state_dict()
    config = {**FIELDS, "backbone_weights": str(tmp_path / "dino")}
    changes = {"family": "partcatseg", "config": config, "trainable": "B+D", "lr_multipliers": {"backbone.": 0.01}}
    changes["task"] = "supervised"
    run = train(arguments(garden_folder, CLIP, tmp_path / "out", steps=1, batch_size=1, **changes))
    model, _ = load_model(run / "last")
    name = "encoder.layer.0.mlp.fc1.weight"
    moved = (model.backbone.state_dict()[name] - stock[name]).abs().max()
    assert 0 < moved < 5e-6
    assert model.config.backbone_weights is None and model.config.trained_on["dataset"] == "toy-garden"


def test_a_trained_model_says_what_it_was_trained_on(
    pretrained: Path, pascal_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    first = train(arguments(pascal_folder, pretrained, tmp_path / "first", steps=1)) / "last"
    seen = list(PASCAL_PART_116.seen().part_classes)
    about = {"task": "zero_shot", "dataset": PASCAL_PART_116.name, "seen_classes": seen}
    assert load_model(first)[0].config.trained_on == about
    for task, fault in (("few_shot", "without the labels of all parts"), ("supervised", "without the labels of all")):
        assert main(["evaluate", str(first), str(pascal_folder), "--task", task, "--device", "cpu"]) == 1
        error = capsys.readouterr().err
        assert fault in error and "--task zero_shot" in error
    second = train(arguments(pascal_folder, first, tmp_path / "second", steps=1, task="few_shot")) / "last"
    about = load_model(second)[0].config.trained_on
    assert about["task"] == "few_shot" and set(about["seen_classes"]) == set(PASCAL_PART_116.part_classes)
    assert main(["evaluate", str(second), str(pascal_folder), "--device", "cpu"]) == 1
    assert "--task few_shot" in capsys.readouterr().err


def test_trains_on_a_drawn_few_shot_list(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    drawn = FewShotList.draw(PartDataset.load(pascal_folder), 1)
    drawn.to_json(tmp_path / "list.json")
    given = arguments(
        pascal_folder, pretrained, tmp_path / "run", task="few_shot", few_shot_list=tmp_path / "list.json"
    )
    examples = TrainingSetup.load(given).training_set(given)
    assert len(examples) == len(drawn.image_ids)
    with pytest.raises(ConfigurationError, match="only 'few_shot' takes one"):
        arguments(pascal_folder, pretrained, tmp_path / "run", few_shot_list=tmp_path / "list.json")


# ---- crops of objects ------------------------------------------------------------------------------------------------


def test_a_model_is_trained_on_crops_of_objects(pretrained: Path, ade_folder: Path, tmp_path: Path) -> None:
    options = {"config": {"object_crop_margin": 0.25}, "steps": 1, "short_edges": None}
    given = arguments(ade_folder, pretrained, tmp_path / "run", **options)
    setup = TrainingSetup.load(given)
    examples = setup.training_set(given)
    assert setup.training_set(replace(given, level="object")).records == examples.records
    assert examples.records and all(record.object_id is not None for record in examples.records)
    sizes = [examples._draw(EpochIndex(0, index))[1].image.size for index in range(len(examples))]
    assert sizes != [setup.dataset.read(record).image.size for record in examples.records]
    model, _ = load_model(train(given) / "last")
    assert model.object_crop_margin == 0.25
    again = arguments(ade_folder, tmp_path / "run" / "last", tmp_path / "again", steps=1)
    assert TrainingSetup.load(again).training_set(again).object_crop_margin == 0.25  # which the model keeps


def test_whole_images_are_refused_before_anything_is_written(
    pretrained: Path, pascal_folder: Path, tmp_path: Path
) -> None:
    given = arguments(
        pascal_folder, pretrained, tmp_path / "run", config={"object_crop_margin": 0.25}, level="image", eval_every=1
    )
    sentence = "object_crop_margin=0.25 is trained on objects, .* whole images. Set level=object"
    with pytest.raises(ConfigurationError, match=sentence):
        train(given)
    assert not list((tmp_path / "run").glob("*.*"))
    with pytest.raises(ConfigurationError, match=sentence):
        estimate_run(given)


def test_crops_need_a_model_that_has_them(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    given = arguments(pascal_folder, "toy-zsseg", tmp_path / "run", config={"object_crop_margin": 0.25})
    with pytest.raises(ConfigurationError, match="object_crop_margin"):
        train(given)
