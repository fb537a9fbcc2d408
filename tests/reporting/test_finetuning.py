"""From a dataset to a model with report, card and what to label next, in a few steps."""

import json
import shutil
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from ovparts_hf import BenchmarkResult, PartDataset, PartSegmenter, evaluate_model, finetune, load_model
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.reporting import finetuning
from ovparts_hf.toy.garden import TOY_GARDEN
from ovparts_hf.toy.world import draw
from ovparts_hf.training import TrainArguments, TrainingInterrupted, train
from ovparts_hf.training.finetuning.plan import Plan

from ..models.partcatseg.stock import CLIP, FIELDS, save_dino

SMALL = {"steps": 3, "batch_size": 2, "workers": 0}


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unlabelled")
    for number in range(3):
        draw("unlabelled", number, taxonomy=TOY_GARDEN).image.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def done(garden_folder, unlabelled, tmp_path_factory):
    """A finished fine-tuning; not to be changed."""
    out = tmp_path_factory.mktemp("finetuned") / "my garden"
    return finetune(garden_folder, out, unlabelled=unlabelled, count=2, overrides=SMALL)


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_writes_what_it_promises(done, garden_folder):
    out = done.report.parents[1]
    assert {path.name for path in out.iterdir()} == {
        *("plan.json", "recipe.yaml", "run", "before.json", "after.json", "classes.csv", "report", "label_next"),
        *("most_confused.json", "most_confused.csv", "most_confused.png"),
    }
    assert done.model == out / "run" / "last"
    assert BenchmarkResult.from_json(out / "after.json").metrics["mIoU"] == done.after.metrics["mIoU"]
    assert done.before.dataset["num_images"] == done.after.dataset["num_images"] == 8
    dataset = PartDataset.load(garden_folder)
    again = evaluate_model(*load_model(done.model), dataset, "supervised", progress=False, intervals=False)
    assert again.metrics["mIoU"] == done.after.metrics["mIoU"]
    start = evaluate_model(*load_model("toy-trained"), dataset, "supervised", progress=False, intervals=False)
    assert start.metrics["mIoU"] == done.before.metrics["mIoU"]


def test_the_model_knows_the_parts(done):
    segmenter = PartSegmenter.from_pretrained(done.model, device="cpu")
    assert tuple(segmenter.model.vocabulary) == TOY_GARDEN.part_classes
    assert segmenter.model.config.trained_on["dataset"] == "toy-garden"


def test_report_and_card_are_about_this_model(done):
    page, card = done.report.read_text(), (done.model / "README.md").read_text()
    assert "Fine-tuning on toy-garden" in page and "fine-tuned" in page and "before" in page
    assert "ovparts train --recipe" in page and str(done.report.parents[2]) not in page + card
    assert "license: apache-2.0" in card and f"{done.after.metrics['mIoU']:.4f}".rstrip("0") in card
    assert "mygarden" in card


def test_the_recipe_makes_the_same_model(done, tmp_path):
    out = done.report.parents[1]
    arguments = TrainArguments.from_recipe(out / "recipe.yaml", [f"output={tmp_path / 'again'}"])
    again = weights(train(arguments) / "last")
    assert again.keys() == weights(done.model).keys() and again
    assert all(torch.equal(tensor, weights(done.model)[name]) for name, tensor in again.items())


def test_images_to_label_are_suggested(done):
    folder = done.report.parents[1] / "label_next"
    assert len(json.loads((folder / "images.json").read_text())) == 3
    assert len(json.loads((folder / "coco.json").read_text())["images"]) == 2


@pytest.fixture
def copy(done, tmp_path):
    """The output of a finished fine-tuning, to be changed; it remembers where it was written first."""
    return shutil.copytree(done.report.parents[1], tmp_path / "copy")


def test_what_was_interrupted_continues(done, copy, garden_folder, monkeypatch):
    monkeypatch.setattr(finetuning, "draft_plan", lambda _: pytest.fail("there is a plan"))
    for name in ("report", "label_next"):
        shutil.rmtree(copy / name)
    shutil.rmtree(copy / "run" / "last")
    (copy / "after.json").unlink()
    again = finetune(garden_folder, copy, overrides=SMALL)
    assert again.after.metrics["mIoU"] == done.after.metrics["mIoU"] and again.report.is_file()
    assert again.before.created == done.before.created  # it was not scored anew
    expected = weights(done.model)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(again.model).items()) and expected


def test_another_fine_tuning_is_replaced_only_on_demand(copy, garden_folder, monkeypatch):
    """The other one stops early, and looks at images of its own for that."""
    with pytest.raises(ConfigurationError, match="holds another fine-tuning .*seed: 0 -> 1"):
        finetune(garden_folder, copy, seed=1, overrides=SMALL)
    monkeypatch.setattr("ovparts_hf.training.finetuning.planning.LEAST_FOR_STOPPING", 10)
    overrides = {**SMALL, "steps": 2, "eval_every": 1}
    other = finetune(garden_folder, copy, seed=1, overrides=overrides, overwrite=True)
    assert other.plan.arguments.seed == 1 and not (copy / "label_next").exists()
    assert other.model.name == "best" and other.plan.arguments.patience == 5
    assert other.after.dataset["num_images"] == 8  # the validation split
    log = [json.loads(line) for line in (copy / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if "eval_mIoU" in line] == [1, 2]


def test_few_shots_of_a_model_that_starts_anew(garden_folder, tmp_path):
    result = finetune(garden_folder, tmp_path / "out", "toy-maskformer", shots=1, overrides={**SMALL, "steps": 1})
    assert result.before is None and result.after.task == "few_shot"
    shots = json.loads((tmp_path / "out" / "shots.json").read_text())["image_ids"]
    confused = json.loads((tmp_path / "out" / "most_confused.json").read_text())
    assert {row["image_id"] for row in confused} <= set(shots)


def test_an_interruption_says_what_continues(garden_with_one_to_score, tmp_path, monkeypatch, caplog):
    """Also where training images are held out, as nothing else can be scored."""

    def interrupted(arguments):
        raise TrainingInterrupted(15)

    call = partial(finetune, garden_with_one_to_score, tmp_path / "out", overrides={**SMALL, "steps": 1})
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "train", interrupted)
        with pytest.raises(TrainingInterrupted):
            call()
    assert f"The same call continues the fine-tuning in {tmp_path / 'out'}." in caplog.text
    assert (tmp_path / "out" / "plan.json").is_file()
    result = call()
    assert result.after.dataset["num_images"] == result.before.dataset["num_images"] == 2
    assert "ovparts evaluate" not in result.report.read_text()


def test_bad_input_is_refused_before_work(garden_folder, unlabelled, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(DatasetError, match="'nowhere' is neither a folder nor"):
        finetune("nowhere", out)
    with pytest.raises(ConfigurationError, match="say what to make of it"):
        finetune(garden_folder, out, str(load_model("toy-catseg")[0].config.name_or_path))
    with pytest.raises(ConfigurationError, match="No model configuration at 'someone/model'"):
        finetune(garden_folder, out, "someone/model")
    with pytest.raises(ConfigurationError, match="needs the mask of each object"):
        finetune(garden_folder, out, "toy-zsseg", unlabelled=unlabelled)
    assert not out.exists()
    monkeypatch.setattr(finetuning, "draft_plan", lambda _: pytest.fail("work has begun"))
    with pytest.raises(ConfigurationError, match="is not a folder; give one with images"):
        finetune(garden_folder, out, unlabelled=tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="count is 0"):
        finetune(garden_folder, out, unlabelled=unlabelled, count=0)
    with pytest.raises(ConfigurationError, match=r"formats holds \['voc'\]"):
        finetune(garden_folder, out, formats=["voc"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_of_a_fine_tuning_is_left_alone(garden_folder, tmp_path, overwrite):
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / ".hidden").touch()
    with pytest.raises(ConfigurationError, match="holds other files, such as 'run'; name a new or empty folder"):
        finetune(garden_folder, tmp_path, overwrite=overwrite)
    assert (tmp_path / "run" / "last").is_dir()
    with pytest.raises(ConfigurationError, match="is a file; name a folder"):
        finetune(garden_folder, tmp_path / ".hidden")


def test_the_start_is_scored_with_the_fields_of_the_recipe(garden_folder, tmp_path, monkeypatch):
    """A CLIP and a DINOv2 in folders, of which the recipe names the second in the model's configuration."""
    stock = save_dino(tmp_path / "dino").state_dict()
    fields = {**FIELDS, "backbone_weights": str(tmp_path / "dino")}
    places = {"data": str(garden_folder), "output": str(tmp_path / "run"), "model": str(CLIP)}
    arguments = TrainArguments(**places, task="supervised", family="partcatseg", config=fields)
    scored = []
    result = SimpleNamespace(to_json=lambda path: path.write_text("{}"))
    monkeypatch.setattr(finetuning, "evaluate", lambda predictor, *_, **__: scored.append(predictor.model) or result)
    finetuning._score_start(Plan(arguments, (), scores_held_out=False, scores_start=True), tmp_path / "before.json")
    [model] = scored
    own = model.backbone.state_dict()
    assert own and all(torch.equal(value, stock[name]) for name, value in own.items())
