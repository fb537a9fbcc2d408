"""The command line, end to end on the fixtures."""

import json

import pytest
import torch
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ovparts_hf import cli
from ovparts_hf.cli import main
from ovparts_hf.loading import load_model
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.processing import PartSegmentationProcessor
from ovparts_hf.results import BenchmarkResult
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.vocabulary import stored_classes

from .models.catseg import goldens as catseg_goldens
from .models.clipseg.goldens import FACTS, FOLDER, golden_processor

RELEASES = {"pascal-part-116": "pascal_archive", "ade20k-part-234": "ade_archive"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A folder as stock CLIPSeg has it, with tiny random weights."""
    folder = tmp_path_factory.mktemp("stock")
    CLIPSegForImageSegmentation(CLIPSegConfig(**FACTS["model_config"])).save_pretrained(folder)
    golden_processor().tokenizer.save_pretrained(folder)
    settings = {"feature_extractor_type": "ViTFeatureExtractor", "size": 80, "do_resize": True, "do_normalize": True}
    settings |= {key: FACTS["processor"][key] for key in ("image_mean", "image_std")}
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "resample": 2}))
    return folder


@pytest.mark.parametrize("name", RELEASES)
def test_prepare_check_train_evaluate(name, stock, request, tmp_path, capsys):
    archive = request.getfixturevalue(RELEASES[name])
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "evaluation"
    assert main(["check", str(archive), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == name
    assert main(["prepare", name, str(archive), str(data)]) == 0
    assert main(["check", str(data)]) == 0
    recipe = ["--recipe", f"examples/recipes/{name}/zero_shot/clipseg.yaml"]
    small = ["steps=3", "batch_size=2", "--short_edges=[80]", "--workers", "0", "eval_every=3"]
    assert main(["train", *recipe, f"model={stock}", f"data={data}", f"output={run}", *small]) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("eval_hIoU" in line for line in log)
    capsys.readouterr()
    assert main(["evaluate", str(run / "last"), str(data), "--out", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    result = BenchmarkResult.from_json(out / "result.json")
    assert result.table() in printed
    assert result.dataset["name"] == name
    assert (out / "classes.csv").read_text().count("\n") == len(result.classes) + 1
    page = (out / "report" / "index.html").read_text()
    assert "Unseen objects" in page
    assert "ovparts evaluate" in page


def test_convert(stock, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["convert", "clipseg", str(FOLDER / "checkpoint.pth"), str(out), "--base", str(stock)]) == 0
    assert "3 unused" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "processor_config.json"}


def test_convert_catseg_with_a_vocabulary(tmp_path, capsys, monkeypatch):
    base = tmp_path / "base"
    catseg_goldens.golden_config().save_pretrained(base)
    tokenizer = golden_processor().tokenizer
    images = CATSegImageProcessor(size={"height": 128, "width": 128})
    PartSegmentationProcessor(images, tokenizer, ["{}", "a {}", "one {}"], scores="probabilities").save_pretrained(base)
    words = PartTaxonomy.from_dict(
        {"name": "few", "object_classes": ["dog"], "part_classes": ["dog's ear", "dog's leg"], "seen_objects": ["dog"]}
    )
    monkeypatch.setitem(cli.VOCABULARIES, "few", words)
    monkeypatch.setattr(PartSegmentationProcessor, "_tokenize", lambda *_: {"input_ids": torch.full((2, 3, 5), 199)})
    out = tmp_path / "model"
    checkpoint = str(catseg_goldens.FOLDER / "checkpoint.pth")
    assert main(["convert", "catseg", checkpoint, str(out), "--base", str(base), "--vocabulary", "few"]) == 0
    assert "404 keys: 402 used, 2 derivable, 0 unused" in capsys.readouterr().out
    model, processor = load_model(out)
    assert list(stored_classes(model)) == ["dog's ear", "dog's leg"]
    assert processor.scores == "probabilities"
    assert main(["convert", "clipseg", checkpoint, str(out), "--base", str(base)]) == 1


def test_a_failed_conversion_leaves_nothing(stock, tmp_path, capsys):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no checkpoint")
    assert main(["convert", "clipseg", str(bad), str(tmp_path / "out"), "--base", str(stock)]) == 1
    assert "bad.pth cannot be read" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "pascal-part-116", "OUT"], "needs its SOURCE"),
        (["prepare", "toy-world", "SOURCE", "OUT"], "is drawn, not read"),
        (["prepare", "pascal-part-116", "nowhere.tar.gz", "OUT"], "nowhere.tar.gz does not exist"),
        (["evaluate", "MODEL", "nowhere"], "neither a folder nor a dataset repository"),
        (["train", "steps=many"], "Training needs"),
        (["train", "--recipe", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["train", "data=x", "output=y", "model=z", "learning=1"], r"Unknown training arguments"),
        (["convert", "clipseg", "x.pth", "OUT", "--base", "nowhere"], "No model configuration at 'nowhere'"),
    ],
)
def test_errors_are_one_clear_sentence(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_check_fails_where_there_are_problems(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["prepare", "check", "train", "evaluate", "convert", "demo"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"Example: ovparts {command} " in " ".join(capsys.readouterr().out.split())


def test_unknown_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["check", "x", "--jsn"])
    assert "unrecognized arguments: --jsn" in capsys.readouterr().err
