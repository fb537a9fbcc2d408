"""Settings follow from facts, and every one can be trained with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.training import TrainArguments
from ovparts_hf.training.finetuning.facts import DataFacts, MachineFacts, ModelFacts
from ovparts_hf.training.finetuning.planning import choose_settings, scored_on

DATA = DataFacts("mine", images=30, scored=50, parts=26, has_unseen=False, is_sided=False, is_drawn=False)
SMALL = ModelFacts("toy", "clipseg", 800_000, 96, True, "VA+F+D", "VA+L+F+D", True, False, True)
LARGE = replace(SMALL, name="stock", parameters=150_000_000, side=352)
CPU, GPU = MachineFacts("cpu", 2), MachineFacts("cuda", 16)


def settings(data=DATA, model=LARGE, machine=CPU, **options):
    return {k: v for choice in choose_settings(data, model, machine, **options) for k, v in choice.settings.items()}


def test_few_images_freeze_more_and_augment_more():
    few, many = settings(), settings(replace(DATA, images=5000))
    assert (few["trainable"], many["trainable"]) == ("VA+F+D", "VA+L+F+D")
    same = replace(LARGE, trainable_with_many=LARGE.trainable_with_few)
    for model, reason in ((LARGE, "the rest is frozen, as there are few images"), (same, "the rest is frozen")):
        assert [c.reason for c in choose_settings(DATA, model, CPU) if "trainable" in c.settings][0].endswith(reason)
    assert few["color_jitter"] and few["crop_size"] == 352 and max(few["short_edges"]) > 500
    assert "color_jitter" not in many and many["short_edges"] == [352] and "crop_size" not in many


def test_steps_grow_with_the_data_and_passes_shrink():
    counts = [10, 30, 300, 3000, 30_000]
    steps = [settings(replace(DATA, images=count))["steps"] for count in counts]
    assert steps == sorted(steps) and steps[0] >= 200 and steps[-1] <= 20_000
    passes = [each / count for each, count in zip(steps, counts)]
    assert passes == sorted(passes, reverse=True)
    assert settings(steps=7)["steps"] == 7


def test_what_is_pretrained_learns_more_slowly_in_large_models():
    factors = {"backbone.": 0.01}
    assert settings(model=replace(LARGE, lr_multipliers=factors))["lr_multipliers"] == factors
    assert "lr_multipliers" not in settings(model=replace(SMALL, lr_multipliers=factors))
    assert "lr_multipliers" not in settings(model=LARGE)


def test_images_that_are_scored_never_decide_when_to_stop():
    assert "held_out" not in settings() and settings()["eval_every"] == 0
    many = settings(replace(DATA, images=1000))
    assert many["held_out"] == 0.1 and many["patience"] == 5 and many["eval_every"] > 0
    for data in (replace(DATA, images=1000, scored=0), replace(DATA, scored=3)):
        assert "held_out" in scored_on(data).settings
        alone = settings(data)
        assert alone["held_out"] == 0.2 and alone["eval_every"] == 0 and "patience" not in alone
    assert settings(replace(DATA, images=100_000))["held_out"] == 0.002  # 200 images are enough
    assert "held_out" not in settings(replace(DATA, images=1000), shots=4, shot_images=100)


def test_no_images_are_held_out_that_would_be_fewer_than_those_for_validation():
    """As of thirty images, of which `ovparts prepare custom` takes six to validate on."""
    for images, scored, is_held in ((24, 6, False), (30, 6, False), (40, 6, True), (24, 0, True), (2, 0, True)):
        chosen = scored_on(replace(DATA, images=images, scored=scored))
        assert ("held_out" in chosen.settings) is is_held, (images, scored)
    assert "6 labelled images, which is few" in scored_on(replace(DATA, images=24, scored=6)).reason


def test_unseen_objects_stay_unseen():
    data = replace(DATA, images=1000, has_unseen=True)
    assert "task" not in settings(data) and settings()["task"] == "supervised"
    assert settings(data)["eval_every"] == 0 and "held_out" not in settings(replace(data, scored=0))
    assert settings(data, shots=2, shot_images=40)["task"] == "few_shot"


def test_parts_called_left_and_right_are_not_mirrored():
    assert settings()["flip"] == 0.5 and settings(replace(DATA, is_sided=True))["flip"] == 0


def test_the_machine_decides_how_it_is_computed():
    assert settings(model=SMALL)["threads"] == 1 and "threads" not in settings()
    assert settings()["mixed_precision"] == "no" and settings(machine=GPU)["mixed_precision"] == "bf16"
    assert settings()["micro_batch_size"] == 2 and "micro_batch_size" not in settings(machine=GPU)
    assert settings(machine=MachineFacts("cpu", 1))["workers"] == 0 and settings(machine=GPU)["workers"] == 4
    assert settings(model=SMALL)["learning_rate"] > settings()["learning_rate"]


@given(
    st.builds(
        DataFacts,
        st.just("mine"),
        st.integers(1, 10**6),
        st.integers(0, 10**5),
        st.integers(1, 3000),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        ModelFacts,
        st.just("model"),
        st.just("clipseg"),
        st.integers(1, 10**10),
        st.integers(16, 2000),
        st.booleans(),
        st.just("VA"),
        st.just("D"),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(MachineFacts, st.sampled_from(["cpu", "cuda", "mps"]), st.integers(1, 256)),
    st.none() | st.integers(1, 50),
)
def test_any_facts_give_settings_that_can_be_trained_with(data, model, machine, shots):
    images = None if shots is None else max(1, data.images // 2)
    choices = choose_settings(data, model, machine, shots, images)
    chosen = {k: v for choice in choices for k, v in choice.settings.items()}
    list_file = {} if shots is None else {"few_shot_list": "shots.json"}
    arguments = TrainArguments(data="data", output="out", model="model", **chosen, **list_file)
    assert arguments.steps >= 200 and arguments.warmup_steps < arguments.steps
    assert len({choice.topic for choice in choices}) == len(choices)
    assert all(choice.reason for choice in choices)


@pytest.mark.parametrize("square", [True, False])
def test_images_of_any_shape_make_batches(square):
    for images in (30, 3000):
        chosen = settings(replace(DATA, images=images), replace(LARGE, is_square=square))
        assert square or chosen["crop_size"] == 352
