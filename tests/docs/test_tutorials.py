"""The tutorials run as they are written, on a drawn world of a few images and with two steps of training."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from ovparts_hf import BenchmarkResult
from ovparts_hf.cli import main
from ovparts_hf.models.loading import TOY_FOLDER

ROOT = Path(__file__).parents[2]
STEPS = ["steps=2", "batch_size=2", "workers=0", "warmup_steps=0"]


@pytest.fixture(autouse=True)
def a_checkout(tmp_path, monkeypatch):
    """An empty folder with what a clone has, and a small world."""
    for name in ("docs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ovparts_hf.dataset_builders.toy_world.toy_world.SPLIT_SIZES", {"train": 4, "validation": 4})


def run(text):
    """Runs all commands and snippets in turn; returns the names that snippets defined."""
    names = {}
    for language, block in re.findall(r"(?ms)^```(bash|python)\n(.*?)^```$", text):
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            _, command, *arguments = shlex.split(line)
            assert main([command, *arguments, *(STEPS if command == "train" else [])]) == 0, line
    return names


def tutorial(name):
    return (ROOT / "docs" / "tutorials" / f"{name}.md").read_text(encoding="utf-8")


def test_a_first_image(tmp_path, capsys):
    names = run(tutorial("first_image"))
    assert names["wheels"].shape == names["result"].label_map.shape and names["wheels"].any()
    assert (tmp_path / "parts.png").is_file() and (tmp_path / "outputs" / "truck" / "parts.json").is_file()
    assert (tmp_path / "outputs" / "predict").is_dir()


def test_photographs(tmp_path):
    photographs = pytest.importorskip("skimage.data", reason="needs scikit-image's photographs")
    (tmp_path / "photos").mkdir()
    for path in ("photo.jpg", "photos/cat.jpg"):
        Image.fromarray(photographs.chelsea()).save(tmp_path / path)
    text = tutorial("photographs")
    assert text.count("CIDAS/clipseg-rd64-refined") == 2
    names = run(text.replace("CIDAS/clipseg-rd64-refined", str(TOY_FOLDER / "clipseg")))
    assert names["result"].label_map.shape == (300, 451)
    assert list((tmp_path / "outputs" / "cats").glob("*.json"))


def test_the_benchmark_on_the_drawn_world(tmp_path, capsys):
    first, second = tutorial("benchmark").split("## With the real data")
    assert "```bash" in second
    run(first)
    outputs = tmp_path / "outputs"
    for scores in ("toy-scores", "trained-scores"):
        assert BenchmarkResult.from_json(outputs / scores / "result.json").dataset["num_images"] == 4
    assert (outputs / "report.html").is_file() and (outputs / "toy-scores" / "report" / "index.html").is_file()
    assert "hIoU" in capsys.readouterr().out


def test_scoring_predictions_gives_what_evaluating_the_model_gives(tmp_path):
    names = run(tutorial("score_predictions"))
    assert names["metric"].compute()["mIoU"] == 100
    scored = BenchmarkResult.from_json(tmp_path / "outputs" / "mine-scores" / "result.json")
    assert scored.model["name"] == "my-model" and scored.metrics["mIoU"] > 10


def test_any_function_may_find_the_objects():
    names = run(tutorial("add_a_model"))
    assert "truck's body" in names["result"].found
