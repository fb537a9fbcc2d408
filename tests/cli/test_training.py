"""Training commands: recipes by name, estimates, prompts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ovparts_hf.cli import main
from ovparts_hf.training import estimate

ROOT = Path(__file__).parents[2]
SMALL = ["steps=2", "batch_size=2", "workers=0", "eval_every=0", "threads=1"]


@pytest.mark.parametrize(
    "recipe",
    [
        "toy-world/zero_shot/clipseg",
        str(ROOT / "examples/recipes/toy-world/zero_shot/clipseg.yaml"),
    ],
    ids=["name", "file"],
)
def test_a_recipe_is_named_or_a_file(recipe, garden_folder, tmp_path, capsys):
    """Here without `--recipe`; with it, a name in the dry run below, and a file in `test_cli.py`."""
    out = tmp_path / "run"
    places = [f"data={garden_folder}", f"output={out}", "task=supervised"]
    assert main(["train", recipe, *places, *SMALL, "--class-chunk", "3"]) == 0
    assert capsys.readouterr().out.split() == [str(out)]
    stored = yaml.safe_load((out / "arguments.yaml").read_text())
    assert (stored["model"], stored["steps"], stored["class_chunk"]) == ("toy", 2, 3)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(line["seconds"] > 0 and line["memory_gb"] > 0 and line["images_per_second"] > 0 for line in lines)
    assert lines


def test_a_dry_run_estimates_and_writes_nothing(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "toy-world/zero_shot/clipseg", "--dry-run", "batch_size=2"]) == 0
    out = capsys.readouterr().out
    for text in ("parameters", "gradients", "optimiser", "activations, 2 at once", "in all", "s for a step"):
        assert text in out
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(estimate, "_device_memory", lambda device: 10)
    assert main(["train", "--dry-run", "--recipe", "toy-world/zero_shot/clipseg"]) == 0
    assert "needs about" in caplog.text and "class_chunk" in caplog.text
    assert main(["tune-prompts", "toy-world/zero_shot/cptcoop", "--dry-run"]) == 0
    assert "activations, 32 at once" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "pascal-part-116/zero_shot/clipsegg"], "Did you mean 'pascal-part-116/zero_shot/clipseg'"),
        (["train", "toy-world/zero_shot/clipseg", "stepps=3"], "Did you mean 'steps'"),
        (["train", "toy-world/zero_shot/cptcoop"], "is a recipe of prompts: use `ovparts tune-prompts`"),
        (["train", "steps=3", "toy-world/zero_shot/clipseg"], "Cannot read the override"),
        (["train", "toy-world/supervised/maskformer", "class_chunk=2", "--dry-run"], "does not decode class by class"),
        (["recipes", "nothing-like-it"], "`ovparts recipes` lists all"),
    ],
)
def test_errors_are_a_sentence(words, message, capsys):
    assert main(words) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


def test_recipes_are_listed(capsys):
    assert main(["recipes", "pascal-part-116/zero_shot/c"]) == 0
    out = capsys.readouterr().out
    assert "35.04" in out and "pascal-part-116/zero_shot/cptcoop" in out and "ade20k" not in out


def test_prompts_are_tuned_and_scored(pascal_folder, tmp_path, capsys):
    places = [f"data={pascal_folder}", f"output={tmp_path / 'run'}", f"cache={tmp_path / 'cache'}", "task=few_shot"]
    words = ["toy-world/zero_shot/cptcoop", *places, "steps=2", "batch_size=4", "workers=0", "samples_per_class=2"]
    assert main(["tune-prompts", *words]) == 0
    assert "accuracy in percent" in capsys.readouterr().out
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert len(scores) == 5 and "accuracy_seen" in scores["tuned"]


def test_the_script_is_the_command():
    done = subprocess.run(
        [sys.executable, "examples/tune_prompts.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "usage: ovparts tune-prompts" in done.stdout
