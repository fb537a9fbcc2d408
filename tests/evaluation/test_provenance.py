"""What a result says of its model, and tasks that do not fit a model's training."""

import json
import logging
import shutil
from functools import partial

import pytest
from huggingface_hub import try_to_load_from_cache

from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.provenance import describe_model, objection, public_name, weights_fingerprint
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.models.loading import TOY_FOLDER, load_model
from ovparts_hf.reporting.cards import folder_card
from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116
from ovparts_hf.taxonomy.tasks import get_task


def training(task):
    seen = get_task(task).train_taxonomy(PASCAL_PART_116).part_classes
    return {"task": task, "dataset": PASCAL_PART_116.name, "seen_classes": list(seen)}


@pytest.mark.parametrize(
    ("trained", "taxonomy", "task", "message"),
    [
        ("few_shot", PASCAL_PART_116, "zero_shot", "42 parts that zero_shot counts as unseen.*--task few_shot"),
        ("supervised", PASCAL_PART_116, "cross_dataset", "counts as unseen.*--task supervised"),
        ("zero_shot", PASCAL_PART_116, "few_shot", "without the labels of all parts.*--task zero_shot"),
        ("zero_shot", PASCAL_PART_116, "supervised", "without the labels of all parts.*--task zero_shot"),
        ("zero_shot", ADE20K_PART_234, "zero_shot", "trained on pascal-part-116.*--task cross_dataset"),
        ("few_shot", PASCAL_PART_116, "supervised", "on other images than supervised takes.*--task few_shot"),
        ("supervised", PASCAL_PART_116, "few_shot", "on other images than few_shot takes.*--task supervised"),
        ("cross_dataset", PASCAL_PART_116, "few_shot", "without the labels of all parts.*--task zero_shot"),
        ("few_shot", ADE20K_PART_234, "few_shot", "--task cross_dataset"),
    ],
)
def test_another_task_than_that_of_training(trained, taxonomy, task, message):
    with pytest.raises(ConfigurationError, match=message):
        raise ConfigurationError(objection(training(trained), taxonomy, get_task(task)))


def test_tasks_that_fit():
    for task in ("zero_shot", "few_shot", "supervised", "cross_dataset"):
        assert objection(training(task), PASCAL_PART_116, get_task(task)) is None
        assert objection(training(task), ADE20K_PART_234, get_task("cross_dataset")) is None
        assert objection(None, PASCAL_PART_116, get_task(task)) is None
    assert objection(training("cross_dataset"), PASCAL_PART_116, get_task("zero_shot")) is None


def test_a_model_that_started_from_one_that_saw_all():
    trained_on = {**training("few_shot"), "task": "zero_shot"}
    for task in ("zero_shot", "few_shot"):
        assert "--task supervised" in objection(trained_on, PASCAL_PART_116, get_task(task))
    assert objection(trained_on, PASCAL_PART_116, get_task("supervised")) is None
    assert objection({**trained_on, "task": "another"}, PASCAL_PART_116, get_task("supervised")) is None


@pytest.mark.parametrize("trained_on", [{}, {"task": 1}, {"task": "a", "dataset": "b", "seen_classes": 3}])
def test_what_training_never_writes(trained_on, tmp_path):
    model, _ = load_model("toy-trained")
    model.config.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "trained_on": trained_on}))
    with pytest.raises(ConfigurationError, match="trained_on must name task and dataset"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        (str(TOY_FOLDER / "trained"), "toy/trained"),
        ("/home/me/runs/mine/last", "mine/last"),
        ("/home/me/mine", "mine"),
        ("models/mine", "models/mine"),
        ("owner/name", "owner/name"),
        ("../../home/me/mine", "mine"),
        ("~/runs/mine/best", "mine/best"),
    ],
)
def test_names_say_no_path_of_the_machine(name, public):
    assert public_name(name) == public


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory):
    """The trained toy, as if trained by the task few_shot on Pascal-Part-116."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    model, processor = load_model("toy-trained", trained_on=training("few_shot"))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_results_are_stamped(toy_folder, pascal, caplog):
    model, processor = load_model(toy_folder)
    with caplog.at_level(logging.WARNING):
        result = evaluate_model(model, processor, pascal, max_images=1, intervals=False, progress=False)
    assert "counts as unseen" in caplog.text
    stamp = {key.removeprefix("training_"): value for key, value in result.model.items() if key.startswith("training_")}
    assert stamp == training("few_shot")
    assert result.model["name"] == "mine" and result.model["fingerprint"] == weights_fingerprint(toy_folder)
    total = result.dataset["total_images"]
    assert result.partial == f"1 of {total} images" and f"Partial: 1 of {total} images." in result.table()
    whole = evaluate_model(model, processor, pascal, "few_shot", intervals=False, progress=False)
    assert whole.partial == "" and "Partial" not in whole.table()


def test_partial_results_say_so_and_complete_ones_are_kept(toy_folder, pascal_folder, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["evaluate", str(toy_folder), str(pascal_folder), "--device", "cpu", "--out", str(out)]
    assert main(command) == 1
    assert "--task few_shot" in capsys.readouterr().err
    command += ["--task", "few_shot"]
    assert main([*command, "--max-images", "1"]) == 0
    partial = BenchmarkResult.from_json(out / "result.json")
    assert partial.partial in capsys.readouterr().out
    assert partial.partial in (out / "report" / "index.html").read_text()
    card = folder_card(toy_folder, [partial])
    assert partial.partial in card and "model-index" not in card
    assert str(toy_folder.parent) not in (out / "result.json").read_text()

    whole = {**json.loads((out / "result.json").read_text())}
    whole["dataset"]["total_images"] = whole["dataset"]["num_images"]
    (out / "result.json").write_text(json.dumps(whole))
    assert "model-index" in folder_card(toy_folder, [BenchmarkResult.from_json(out / "result.json")])
    assert main([*command, "--max-images", "1"]) == 1
    assert "say --overwrite" in capsys.readouterr().err
    assert main([*command, "--max-images", "1", "--overwrite"]) == 0
    assert BenchmarkResult.from_json(out / "result.json").partial


def test_a_few_shot_list_needs_its_task(capsys):
    assert main(["evaluate", "toy-trained", "data", "--few-shot-list", "list.json"]) == 1
    assert "--few-shot-list needs --task few_shot" in capsys.readouterr().err


def test_a_card_takes_results_of_its_model_only(toy_folder, pascal, tmp_path):
    result = evaluate_model(*load_model(toy_folder), pascal, "few_shot", max_images=1, intervals=False, progress=False)
    other = shutil.copytree(toy_folder, tmp_path / "other")
    assert folder_card(other, [result])  # a copy
    model, _ = load_model(toy_folder)
    next(model.parameters()).data.add_(1)
    model.save_pretrained(other)
    with pytest.raises(ConfigurationError, match="The result is of 'mine' with weights sha256"):
        folder_card(other, [result])


def test_a_result_of_a_model_on_the_hub_says_which_weights(toy_folder, tmp_path, monkeypatch):
    in_cache = partial(try_to_load_from_cache, cache_dir=tmp_path)
    monkeypatch.setattr("ovparts_hf.evaluation.provenance.try_to_load_from_cache", in_cache)
    revision = "0" * 40
    shutil.copytree(toy_folder, tmp_path / "models--me--mine" / "snapshots" / revision)
    model, _ = load_model(toy_folder)
    model.config.name_or_path, model.config._commit_hash = "me/mine", revision
    about = describe_model(model)
    assert (about["name"], about["revision"]) == ("me/mine", revision)
    assert about["fingerprint"] == weights_fingerprint(toy_folder)
    model.config._commit_hash = "1" * 40  # no longer in the cache
    assert describe_model(model)["fingerprint"] is None
