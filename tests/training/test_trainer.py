"""transformers' own `Trainer` and `peft` on the models of this library."""

import copy
import gc

import numpy as np
import peft
import pytest
import torch
from transformers import Trainer, TrainingArguments

from ovparts_hf.data.collator import DataCollatorForPartSegmentation
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy import PartTaxonomy

from ..reporting.cards.reading import fences
from ..test_readme import ROOT

CLASSES = ["person's head", "person's torso", "bird's head", "bird's torso"]
SMALL = {"toy-zsseg": {"num_queries": 6, "region_size": 48}, "toy-maskformer": {"num_queries": 6}}


@pytest.fixture(autouse=True, scope="module")
def frozen():
    """Spares `Trainer`, which collects garbage at its end, all that other tests have left to live on."""
    gc.collect()
    gc.freeze()


def arguments(folder, **changes):
    settings = {
        "output_dir": str(folder),
        "max_steps": 3,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "remove_unused_columns": False,
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return TrainingArguments(**{**settings, **changes})


def trainable(name, pascal):
    """A model of a family that knows some classes, always the same, and its collator."""
    torch.manual_seed(0)
    target = PartTaxonomy.from_dict({"object_classes": ["person", "bird"], "part_classes": CLASSES})
    fields = {"id2label": dict(enumerate(CLASSES))} if name == "toy-maskformer" else {}
    model, processor = load_model(name, **SMALL.get(name, {}), **fields)
    side = 64 if name in SMALL else None
    objects = model.requires_object_masks, side, model.trains_on_objects
    collator = DataCollatorForPartSegmentation(processor, pascal.taxonomy, target, *objects)
    model.store_vocabulary(processor, collator.class_names, progress=False)
    return model, collator


@pytest.mark.parametrize(
    "name", ["toy", "toy-partclipseg", "toy-catseg", "toy-partcatseg", "toy-zsseg", "toy-maskformer"]
)
def test_every_family_trains_saves_and_evaluates(name, pascal, tmp_path):
    model, collator = trainable(name, pascal)
    before = copy.deepcopy(model.state_dict())
    rows = pascal.splits["train"].select(range(2))
    trainer = Trainer(model, arguments(tmp_path), collator, rows, eval_dataset=rows)
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    evaluated = trainer.evaluate()["eval_loss"]
    assert evaluated == pytest.approx(losses[-1], rel=0.5)
    trainer.save_model(tmp_path / "model")
    loaded = type(model).from_pretrained(tmp_path / "model").eval()
    batch = collator(list(rows))
    with torch.no_grad():
        expected = model.eval()(**batch).logits
        assert torch.equal(loaded(**batch).logits, expected)
    predictions = trainer.predict(rows).predictions
    logits = predictions[0] if model.scores_none else predictions
    assert np.array_equal(logits, expected.numpy())
    assert loaded.vocabulary[: len(collator.class_names)] == collator.class_names


def test_predictions_are_scores_alone(pascal, tmp_path):
    """Features of classes have no row for each image, and could not be joined over batches."""
    model, collator = trainable("toy", pascal)
    tokens = dict(load_model("toy")[1](classes=collator.class_names))
    rows = pascal.splits["train"].select(range(3))
    settings = arguments(tmp_path, per_device_eval_batch_size=2)
    trainer = Trainer(model, settings, lambda rows: {**collator(rows), **tokens, "output_hidden_states": True})
    logits, none_logits = trainer.predict(rows).predictions
    assert logits.shape[:2] == (3, len(collator.class_names)) and none_logits.shape[:2] == (3, 1)
    assert np.isfinite(trainer.evaluate(rows)["eval_loss"])


def test_accumulated_steps_learn_what_one_batch_does(pascal, tmp_path):
    """The loss is a mean: it is divided by the number of steps, although `forward` may take any keyword."""
    weights = []
    for size, steps in ((2, 1), (1, 2)):
        model, collator = trainable("toy", pascal)
        changes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": steps, "max_steps": 1}
        rows = pascal.splits["train"].select(range(2))
        options = arguments(tmp_path, optim="sgd", max_grad_norm=0, learning_rate=0.1, **changes)
        Trainer(model, options, collator, rows).train()
        weights.append(model.state_dict())
    assert weights[0].keys() == weights[1].keys() != set()
    for name, expected in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("heading", ["## With transformers' Trainer", "## With LoRA"])
def test_the_snippets_of_the_documentation_run(heading, garden_folder, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "toy").symlink_to(garden_folder)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    _, text = page.split(heading)
    [snippet] = fences(text.split("\n## ")[0], "python")
    variables = {}
    exec(snippet.replace("max_steps=1000", "max_steps=1"), variables)
    assert variables["trainer"].state.global_step == 1


def test_lora_trains_is_saved_loaded_and_merged(pascal, tmp_path):
    model, collator = trainable("toy", pascal)
    base = copy.deepcopy(model).eval()
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], modules_to_save=["film_mul", "film_add"])
    adapted = peft.get_peft_model(model, config)
    rows = pascal.splits["train"].select(range(2))
    trainer = Trainer(adapted, arguments(tmp_path, learning_rate=1e-2), collator, rows)
    trainer.train()
    trainer.save_model(tmp_path / "adapter")
    batch = collator(list(rows))
    with torch.no_grad():
        expected = adapted.eval()(**batch).logits
        assert not torch.allclose(base(**batch).logits, expected, atol=1e-3)
        loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
        assert torch.equal(loaded(**batch).logits, expected)
        merged = loaded.merge_and_unload()
        torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-4, rtol=1e-4)
        merged.save_pretrained(tmp_path / "merged")
        again = type(model).from_pretrained(tmp_path / "merged").eval()
        assert torch.equal(again(**batch).logits, merged(**batch).logits)
