"""The demo from the command to its files, on a world of a few images and in two steps."""

import json
import re

import pytest
import yaml
from PIL import Image

from ovparts_hf import BenchmarkResult, PartSegmenter
from ovparts_hf.cli import main
from ovparts_hf.toy.world import TOY_WORLD

SMALL = ["steps=2", "batch_size=2", "workers=0", "warmup_steps=0"]


@pytest.fixture
def small_world(monkeypatch):
    monkeypatch.setattr("ovparts_hf.dataset_builders.toy_world.toy_world.SPLIT_SIZES", {"train": 4, "validation": 4})


def test_the_demo_writes_what_it_promises(small_world, tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), *SMALL]) == 0
    printed = capsys.readouterr().out
    report = out / "report" / "index.html"
    assert f"Report: {report.resolve()}" in printed

    result = BenchmarkResult.from_json(out / "result.json")
    seen, unseen, harmonic = (result.metrics[key] for key in ("mIoU_seen", "mIoU_unseen", "hIoU"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    assert [row[0] for row in rows] == ["toy world, IoU in percent", "-" * 25, "clipseg, untrained", "clipseg"]
    assert rows[-1][1:] == [f"{seen:.1f}", f"{unseen:.1f}", f"{harmonic:.1f}"]
    assert (out / "classes.csv").read_text().count("\n") == len(result.classes) + 1

    page = report.read_text()
    assert "Parts of objects never seen in training" in page and "clipseg, untrained" in page
    assert re.search(r'class="value">\s*([\d.]+)', page)[1] == f"{harmonic:.1f}"  # of the trained model
    recipe = "examples/recipes/toy-world/zero_shot/clipseg.yaml"
    assert f"ovparts train --recipe {recipe} data=demo/data output=demo/run seed=0" in page
    assert "ovparts evaluate demo/run/last demo/data --task zero_shot" in page and str(tmp_path) not in page
    images = page.count("data:image/jpeg;base64,")
    assert images > 0 and images % 3 == 0 and "Unseen objects" in page
    with Image.open(out / "examples.png") as examples:
        assert min(examples.size) > 100

    assert json.loads((out / "data" / "taxonomy.json").read_text())["name"] == TOY_WORLD.name
    assert yaml.safe_load((out / "run" / "arguments.yaml").read_text())["steps"] == 2
    segmenter = PartSegmenter.from_pretrained(out / "run" / "last", device="cpu")
    assert segmenter(out / "examples.png", {"truck": ["wheel"]}).classes == ("truck's wheel",)


def test_several_models_share_a_table_and_have_folders_of_their_own(small_world, tmp_path, capsys):
    changes = [*SMALL, "samples_per_class=1"]
    assert main(["demo", "--model", "maskformer", "zsseg+", "--out", str(tmp_path / "demo"), *changes]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "demo"
    for name in ("maskformer", "zsseg+"):
        assert f"| {name}, untrained" in printed and f"| {name} " in printed
        assert BenchmarkResult.from_json(out / name / "result.json").classes
        assert (out / name / "classes.csv").exists() and (out / name / "run" / "last" / "config.json").exists()
    assert yaml.safe_load((out / "zsseg+" / "run" / "arguments.yaml").read_text())["prompts"] == str(
        out / "zsseg+" / "prompts" / "last"
    )
    tuned = yaml.safe_load((out / "zsseg+" / "prompts" / "arguments.yaml").read_text())
    assert (tuned["steps"], tuned["samples_per_class"], tuned["batch_size"]) == (2, 1, 2)
    assert (out / "zsseg+" / "prompts" / "last" / "model.safetensors").exists() and list((out / "features").iterdir())
    assert (out / "report" / "index.html").exists() and (out / "examples.png").exists()
    assert not (out / "result.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "clipseg", "--seeds", "0"], "--rows and --seeds can be given with --table only"),
        (["--processes", "1", "--app"], "--processes can be given with --table only"),
        (["--table", "--model", "catseg"], "choose some by --rows, without --model or --app"),
        (["--table", "--app"], "choose some by --rows, without --model or --app"),
    ],
)
def test_options_of_another_demo_are_refused(words, message, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), *words]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lerning_rate=1"], r"Unknown training arguments \['lerning_rate'\]"),
        (["samples_per_class=1"], r"Unknown training arguments \['samples_per_class'\]"),
        (["--model", "clipseg", "zsseg+", "--lerning_rate=1"], r"Unknown training arguments \['lerning_rate'\]"),
        (["--model", "zsseg+", "--steps=0"], "steps is 0; it must be at least 1"),
        (["output=elsewhere"], r"\['output'\] cannot be overridden in the demo; choose its folder by --out"),
    ],
)
def test_overrides_that_do_not_fit_are_refused_before_anything_is_drawn(words, message, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), *words]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "demo").exists()
