"""The commands that make, compare and score results, on the fixtures."""

import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.data.few_shot import FewShotList
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.taxonomy.tasks import TASKS
from ovparts_hf.utils import precision

from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model and its processor, as `ovparts train` leaves them."""
    folder = tmp_path_factory.mktemp("saved")
    convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0].save_pretrained(folder)
    golden_processor().save_pretrained(folder)
    return folder


def evaluate(saved, data, out, *arguments):
    arguments = [*arguments, "--device", "cpu", "--max-images", "2"]
    assert main(["evaluate", str(saved), str(data), "--out", str(out), *arguments]) == 0
    return BenchmarkResult.from_json(out / "result.json")


@pytest.mark.parametrize("metrics", ["partclipseg", "strict"])
def test_evaluate_with_other_definitions_and_borders(metrics, saved, pascal_folder, tmp_path, capsys):
    result = evaluate(saved, pascal_folder, tmp_path / "out", "--metrics", metrics, "--boundary")
    assert result.flavour == metrics
    assert set(result.numbers()) == {metrics, "boundary"} | ({"strict"} - {metrics})
    assert result.table() in capsys.readouterr().out
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "Worst predictions" in page and "Most confused" in page


def test_an_evaluation_counts_as_complete_when_everything_is_written(
    saved, garden_with_one_to_score, tmp_path, monkeypatch
):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    command = [
        "evaluate",
        str(saved),
        str(garden_with_one_to_score),
        "--task",
        "supervised",
        "--device",
        "cpu",
        "--out",
    ]
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("ovparts_hf.metrics.ImageCounts.save", stop)
        assert main([*command, str(out)]) == 130
    assert (out / "report" / "index.html").exists() and not (out / "result.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr("ovparts_hf.reporting.report.write_report", stop)  # what was scored is kept even so
        assert main([*command, str(out)]) == 130
    assert (out / "result.json").exists()
    assert main([*command, str(out)]) == 1
    assert main([*command, str(out), "--overwrite"]) == 0


def test_evaluate_with_found_objects(saved, pascal_folder, tmp_path):
    arguments = ("--setting", "pred_obj", "--objects", "model", "--tta", "--compat", "none")
    result = evaluate(saved, pascal_folder, tmp_path / "out", *arguments)
    facts = {key: result.config[key] for key in ("objects", "tta", "crf", "compat", "candidates")}
    assert facts == {"objects": "the same model", "tta": "flip", "crf": False, "compat": None, "candidates": "id"}
    assert result.setting == "pred_obj"


def test_nothing_that_is_written_names_a_folder_of_the_machine(saved, pascal_folder, pascal, tmp_path):
    maps, out = tmp_path / "object-maps", tmp_path / "out"
    maps.mkdir()
    for record in pascal.evaluation_records(TASKS["zero_shot"]):
        sample = pascal.read(record)
        Image.fromarray(sample.object_map.astype("uint8")).save(maps / f"{sample.image_id}.png")
    result = evaluate(saved, pascal_folder, out, "--setting", "pred_obj", "--objects", str(maps))
    assert result.config["objects"] == "object-maps"
    folders = [str(folder) for path in (saved, pascal_folder, tmp_path) for folder in (path.parent, Path.home())]
    written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert len(written) == 4 and not any(folder.encode() in content for content in written for folder in folders)
    page = (out / "report" / "index.html").read_text()
    assert f"ovparts evaluate {saved.name} {pascal_folder.name} --out out" in page


def test_evaluate_whole_images(saved, pascal_folder, tmp_path, capsys):
    result = evaluate(saved, pascal_folder, tmp_path / "out", "--setting", "pred_all", "--metrics", "partclipseg")
    assert (result.setting, result.dataset["num_records"]) == ("pred_all", 2)
    assert main(["evaluate", str(saved), str(pascal_folder), "--setting", "pred_all", "--device", "cpu"]) == 1
    assert "'ov_parts' does not define scores for pred_all" in capsys.readouterr().err


def test_precision_is_one_that_the_cpu_has(saved, pascal_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    result = evaluate(saved, pascal_folder, tmp_path / "out", "--mixed-precision", "bf16")
    assert result.config["mixed_precision"] == "no"
    wrong = ["--mixed-precision", "fp16", "--device", "cpu", "--out", str(tmp_path / "other")]
    assert main(["evaluate", str(saved), str(pascal_folder), *wrong]) == 1
    assert '"fp16" needs a GPU' in capsys.readouterr().err


def test_few_shot_list(saved, pascal_folder, tmp_path, capsys):
    path = tmp_path / "list.json"
    assert main(["few-shot", str(pascal_folder), str(path), "--shots", "1", "--seed", "2"]) == 0
    drawn = FewShotList.from_json(path)
    assert (drawn.shots, drawn.seed) == (1, 2) and str(drawn) in capsys.readouterr().out
    result = evaluate(saved, pascal_folder, tmp_path / "out", "--task", "few_shot", "--few-shot-list", str(path))
    assert result.dataset["few_shot"] == str(drawn)


def test_report_and_compare(saved, pascal_folder, tmp_path, capsys):
    first, second = tmp_path / "official", tmp_path / "other"
    evaluate(saved, pascal_folder, first)
    evaluate(saved, pascal_folder, second, "--compat", "none")
    page = tmp_path / "report.html"
    assert main(["report", str(first), str(second / "result.json"), "--out", str(page), "--labels", "one", "two"]) == 0
    assert "one" in page.read_text() and "two" in page.read_text()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    without = page.read_text()
    assert main(["report", str(first), "--out", str(page), "--run", str(tmp_path / "run")]) == 0
    assert "<polyline" in page.read_text() and "<polyline" not in without
    capsys.readouterr()
    assert main(["compare", str(first), str(first), "--samples", "20"]) == 0
    text = capsys.readouterr().out
    scored = BenchmarkResult.from_json(first / "result.json").partial
    assert "+0.00" in text and scored and text.startswith(f"Partial: {scored}.\n\n")
    assert f"| {first} | {first} |" in re.sub(" +", " ", text), "the whole paths, as both are called alike"
    assert main(["compare", str(first), str(second), "--samples", "20", "--seed", "1"]) == 0
    text = capsys.readouterr().out
    assert "mIoU_unseen" in text and "| official | other |" in re.sub(" +", " ", text)
    assert main(["report", str(first), "--labels", "one", "two"]) == 1
    assert "2 labels were given for 1 results" in capsys.readouterr().err
    assert main(["report", str(first), "--out", str(page), "--run", str(first)]) == 1
    assert "is not the folder of a training run" in capsys.readouterr().err


def test_submit_and_score(pascal_folder, pascal, tmp_path, capsys):
    folder, out = tmp_path / "mine", tmp_path / "scores"
    assert main(["submit-format", str(pascal_folder), str(folder), "--name", "mine"]) == 0
    assert main(["score", str(folder), str(pascal_folder)]) == 1
    assert "label maps are missing" in capsys.readouterr().err
    for record, path in zip(pascal.evaluation_records(TASKS["zero_shot"]), wanted_files(folder)):
        Image.fromarray(pascal.read(record).part_map.astype("uint8")).save(path)
    arguments = ["--metrics", "strict", "--boundary", "--label-size", "80", "200", "--out", str(out)]
    assert main(["score", str(folder), str(pascal_folder), *arguments]) == 0
    result = BenchmarkResult.from_json(out / "result.json")
    assert result.metrics["mIoU"] > 60  # borders were shifted by the label size
    assert result.config["label_size"] == [80, 200]
    assert main(["score", str(folder), str(pascal_folder), "--out", str(out)]) == 1
    assert "say --overwrite" in capsys.readouterr().err
    assert main(["score", str(folder), str(pascal_folder), "--out", str(out), "--overwrite"]) == 0
    result = BenchmarkResult.from_json(out / "result.json")
    assert result.metrics["mIoU"] == result.metrics["strict"]["mIoU"] == 100 and result.model["name"] == "mine"
    assert {path.name for path in out.iterdir()} == {"result.json", "classes.csv", "image_counts.npz"}


def wanted_files(folder):
    return [folder / entry["file"] for entry in json.loads((folder / "manifest.json").read_text())["maps"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["few-shot", "nowhere", "OUT"], "neither a folder nor a dataset repository"),
        (["report", "nowhere"], "nowhere cannot be read"),
        (["compare", "nowhere", "nowhere"], "result.json cannot be read"),
        (["submit-format", "nowhere", "OUT"], "neither a folder nor a dataset repository"),
        (["score", "FOLDER", "nowhere"], "neither a folder nor a dataset repository"),
    ],
)
def test_errors_are_one_clear_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_extra_scores(saved, ade_folder, ade, pascal_folder, pascal, tmp_path, capsys):
    result = evaluate(saved, ade_folder, tmp_path / "ade", "--extra-scores")
    assert list(result.metrics["extra_scores"])[:4] == ["gIoU", "cIoU", "P@50", "AP"]
    page = (tmp_path / "ade" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Scores of other papers" in page and "<th>P@50</th>" in page
    assert "| extra scores |" in capsys.readouterr().out
    folder = tmp_path / "maps"
    assert main(["submit-format", str(pascal_folder), str(folder)]) == 0
    for record, path in zip(pascal.evaluation_records(TASKS["zero_shot"]), wanted_files(folder)):
        Image.fromarray(pascal.read(record).part_map.astype("uint8")).save(path)
    arguments = ["score", str(folder), str(pascal_folder), "--extra-scores", "--out", str(tmp_path / "scores")]
    assert main(arguments) == 0
    scored = BenchmarkResult.from_json(tmp_path / "scores" / "result.json")
    assert scored.metrics["extra_scores"] == {"gIoU": 100, "cIoU": 100, "P@50": 100}


def test_rankseg_is_noticed_missing_at_once(saved, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rankseg", None)
    assert main(["evaluate", str(saved), "no/data", "--decode", "rankseg"]) == 1
    assert "needs rankseg, which is not installed" in capsys.readouterr().err
