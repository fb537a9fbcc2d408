"""A plan is drafted from the data, the model and the speed of the machine, and nothing is written."""

import json

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import TOY_MODELS
from ovparts_hf.models.partcatseg.modeling_partcatseg import PartCATSegForPartSegmentation
from ovparts_hf.training.finetuning import draft
from ovparts_hf.training.finetuning.draft import draft_plan
from ovparts_hf.training.finetuning.plan import PLAN, RECIPE, Plan
from ovparts_hf.training.finetuning.request import FineTuningRequest

from ...models.partcatseg.stock import CLIP, FIELDS, save_dino


@pytest.fixture
def speed(monkeypatch):
    """A machine of known speed: seconds of a step and of an image."""

    def set_speed(step, image):
        monkeypatch.setattr(draft, "seconds_per_step", lambda *_: step)
        monkeypatch.setattr(draft, "seconds_per_image", lambda *_: image)

    set_speed(0.5, 0.01)
    return set_speed


def request(folder, out, **options):
    return FineTuningRequest(str(folder), out, "toy-trained", **options)


def test_a_plan_says_what_is_done_and_why(garden_folder, tmp_path, speed):
    plan = draft_plan(request(garden_folder, tmp_path / "out"))
    assert plan.seconds == pytest.approx(20 + 0.5 * plan.arguments.steps + 2 * 8 * 0.01)
    table = plan.table()
    assert "toy-trained (clipseg, 0.8 million parameters): as given" in table
    assert "supervised: all 26 parts" in table and "expected" in table
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", TOY_MODELS)
def test_every_family_has_a_plan(garden_folder, tmp_path, speed, model):
    plan = draft_plan(FineTuningRequest(str(garden_folder), tmp_path / "out", model))
    assert plan.arguments.model == model and f"{model} (" in plan.table()


def test_overrides_are_taken_and_said(garden_folder, tmp_path, speed):
    plan = draft_plan(request(garden_folder, tmp_path, overrides={"steps": 50, "weight_decay": 0.1}))
    assert plan.arguments.steps == 50 and plan.arguments.weight_decay == 0.1
    assert plan.arguments.warmup_steps == 2
    assert "50 of 8 images" in plan.table() and "as given: steps=50" in plan.table()
    assert "as given: weight_decay=0.1" in plan.table()
    with pytest.raises(ConfigurationError, match=r"Unknown training arguments \['stepz'\]"):
        draft_plan(request(garden_folder, tmp_path, overrides={"stepz": 50}))


def test_weights_that_cannot_be_had_are_named_with_what_to_do(garden_folder, tmp_path):
    given = FineTuningRequest(str(garden_folder), tmp_path / "out", "clipseg")
    with pytest.raises(ConfigurationError, match="'CIDAS/clipseg-rd64-refined'.* or for drawings --model toy-trained"):
        draft_plan(given)


def test_shots_are_drawn(garden_folder, tmp_path, speed):
    plan = draft_plan(request(garden_folder, tmp_path, shots=1, seed=3))
    assert plan.arguments.task == "few_shot" and 0 < len(plan.few_shot.image_ids) < 12
    assert plan.arguments.few_shot_list == str(tmp_path / "shots.json")
    assert f"each of the {len(plan.few_shot.image_ids)} about" in plan.table()


def test_limited_time_means_fewer_steps(garden_folder, tmp_path, speed):
    whole = draft_plan(request(garden_folder, tmp_path, time="1h"))
    assert whole.arguments.steps == draft_plan(request(garden_folder, tmp_path)).arguments.steps
    short = draft_plan(request(garden_folder, tmp_path, time=60))
    assert 10 <= short.arguments.steps < whole.arguments.steps
    assert short.seconds < 60 and short.arguments.steps * 0.5 < short.arguments.time_limit < 40
    assert short.arguments.warmup_steps <= short.arguments.steps // 20
    assert f"{short.arguments.steps} steps instead of {whole.arguments.steps}" in short.table()
    with pytest.raises(ConfigurationError, match=r"21 s are too short: a step takes 0.5 s here. .* --time \d+s"):
        draft_plan(request(garden_folder, tmp_path, time=21))


def test_the_least_time_that_is_named_is_enough(garden_folder, tmp_path, speed):
    speed(3.0, 2.0)
    with pytest.raises(ConfigurationError) as error:
        draft_plan(request(garden_folder, tmp_path, time=30))
    least = str(error.value).split("--time ")[1].split("s,")[0]
    assert draft_plan(request(garden_folder, tmp_path, time=float(least))).arguments.steps >= 10


def test_slow_scoring_takes_part_of_the_images(garden_folder, tmp_path, speed):
    speed(0.1, 10.0)
    plan = draft_plan(request(garden_folder, tmp_path, time=200))
    assert plan.max_images == 3 and "3 of 8 images only" in plan.table() and plan.seconds < 200


def test_a_small_validation_split_is_replaced(garden_with_one_to_score, tmp_path, speed):
    plan = draft_plan(request(garden_with_one_to_score, tmp_path, shots=1))
    assert plan.scores_held_out and plan.arguments.held_out == 0.2 and plan.arguments.eval_every == 0
    scored = set(plan.scored_dataset().splits["validation"]["image_id"])
    assert scored and not scored & set(plan.few_shot.image_ids)
    assert "since the validation split has 1 labelled image" in plan.table()


def test_a_plan_is_stored_and_found_again(garden_folder, tmp_path, speed):
    given = request(garden_folder, tmp_path, shots=1, time="1h", overrides={"short_edges": [96]})
    assert Plan.read(given) is None
    plan = draft_plan(given)
    plan.write(given)
    again = Plan.read(given)
    assert again.arguments == plan.arguments and again.decisions == plan.decisions and again.seconds == plan.seconds
    assert again.scored_dataset().few_shot_image_ids == frozenset(plan.few_shot.image_ids)
    assert (tmp_path / RECIPE).read_text().startswith("# model: toy-trained")
    with pytest.raises(ConfigurationError, match=r"holds another fine-tuning \(shots: 1 -> None"):
        Plan.read(request(garden_folder, tmp_path, time="1h", overrides={"short_edges": [96]}))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "ovparts-finetune", "version": 9}'])
def test_a_plan_that_is_none_is_refused(garden_folder, tmp_path, speed, text):
    given = request(garden_folder, tmp_path)
    (tmp_path / PLAN).write_text(text)
    assert Plan.read(given) is None  # without a recipe it is not complete
    (tmp_path / RECIPE).touch()
    with pytest.raises(ConfigurationError, match="start anew"):
        Plan.read(given)


def test_request_and_plan_are_json(garden_folder, tmp_path, speed):
    given = request(garden_folder, tmp_path)
    draft_plan(given).write(given)
    stored = json.loads((tmp_path / PLAN).read_text())
    assert stored["request"]["model"] == "toy-trained" and stored["format"] == "ovparts-finetune"


@pytest.fixture
def dino(tmp_path):
    """A DINOv2 of the sizes that `FIELDS` give a model."""
    save_dino(tmp_path / "dino")
    return str(tmp_path / "dino")


def test_stock_weights_of_several_kinds_are_named_in_the_recipe(garden_folder, tmp_path, dino, speed, monkeypatch):
    monkeypatch.setattr(PartCATSegForPartSegmentation, "stock_weights", str(CLIP))
    monkeypatch.setattr(PartCATSegForPartSegmentation, "stock_fields", {"backbone_weights": dino})
    given = FineTuningRequest(str(garden_folder), tmp_path / "out", "partcatseg", overrides={"config": FIELDS})
    plan = draft_plan(given)
    arguments = plan.arguments
    assert (arguments.model, arguments.family) == (str(CLIP), "partcatseg")
    assert arguments.config == {"backbone_weights": dino, **FIELDS}
    assert "stock weights of partcatseg; some of its weights start at random" in plan.table()


def test_stock_weights_in_folders_say_what_they_become(garden_folder, tmp_path, dino, speed):
    overrides = {"family": "partcatseg", "config": {**FIELDS, "backbone_weights": dino}}
    plan = draft_plan(FineTuningRequest(str(garden_folder), tmp_path / "out", str(CLIP), overrides=overrides))
    assert plan.arguments.family == "partcatseg" and plan.arguments.config["backbone_weights"] == dino
    without = FineTuningRequest(str(garden_folder), tmp_path / "out", str(CLIP))
    with pytest.raises(ConfigurationError, match=r"say what to make of it: \[.*'partcatseg'"):
        draft_plan(without)
    for name in (None, "catseg"):
        given = FineTuningRequest(str(garden_folder), tmp_path / "out", name, overrides={"family": "partcatseg"})
        with pytest.raises(ConfigurationError, match="For stock weights: --model partcatseg"):
            draft_plan(given)


def test_further_stock_weights_that_cannot_be_had_are_named(garden_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(PartCATSegForPartSegmentation, "stock_weights", str(CLIP))
    with pytest.raises(ConfigurationError, match="backbone_weights 'facebook/dinov2-small' cannot be loaded.*--model"):
        draft_plan(FineTuningRequest(str(garden_folder), tmp_path, "partcatseg", overrides={"config": FIELDS}))
