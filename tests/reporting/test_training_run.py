"""Curves say what the log says, whatever state the log is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.reporting.report import write_report
from ovparts_hf.reporting.training_run import read_charts, read_samples, run_of_model

from .test_report import TRAINED, Page

LINES = [
    {"step": 2, "loss": 2.0, "learning_rate": 0.1, "gradient_norm": 3.0, "images_per_second": 5.0},
    {"step": 4, "loss": 1.0, "learning_rate": 0.05, "gradient_norm": None, "images_per_second": 6.0},
    {"step": 4, "eval_mIoU_seen": 30.0, "eval_mIoU_unseen": 10.0, "eval_hIoU": 15.0, "eval_IoU/cat's ear": 20.0},
    {"step": 6, "loss": 4.0, "learning_rate": 0.0, "gradient_norm": 1.0, "images_per_second": 7.0},
]


def write_run(folder: Path, lines: list[object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_lines_run_through_the_numbers_of_the_log(tmp_path: Path) -> None:
    charts = {chart.title: chart for chart in read_charts(write_run(tmp_path, LINES))}
    loss = charts["Loss"]
    assert (loss.lowest, loss.highest, loss.first_step, loss.last_step) == (1, 4, 2, 6)
    assert loss.lines[0].points == "0.0,80.0 160.0,120.0 320.0,0.0"  # 2, 1 and 4 on an axis from 120 (1) to 0 (4)
    assert loss.lines[0].last == 4
    assert charts["Gradient norm before clipping"].lines[0].points == "0.0,0.0 320.0,120.0"  # without what was null
    assert [line.name for line in charts["IoU of evaluations, in percent"].lines] == ["seen", "unseen", "harmonic mean"]


def test_what_the_log_lacks_has_no_chart(tmp_path: Path) -> None:
    charts = read_charts(write_run(tmp_path, [{"step": 1, "loss": 2.0}]))  # as of earlier versions
    assert [chart.title for chart in charts] == ["Loss"]
    assert read_charts(write_run(tmp_path, [])) == []


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, [*LINES, 7, {"loss": 3.0}, {"step": "8", "loss": 3.0}, {"step": 9, "loss": "low"}])
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'\xff\xfe\n{"step": 10, "lo')
    assert len(read_charts(tmp_path)[0].lines[0].points.split()) == 3


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=1500))
def test_every_point_lies_in_the_chart(tmp_path_factory: pytest.TempPathFactory, losses: list[float]) -> None:
    lines = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    [chart] = read_charts(write_run(tmp_path_factory.mktemp("run"), lines))
    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].points.split()]
    assert 1 <= len(points) <= 400
    assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in points)
    assert chart.lines[0].last == losses[-1]


def test_first_and_last_samples_are_among_those_shown(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
    (tmp_path / "samples").mkdir()
    for step in range(1, 8):
        Image.new("RGB", (4, 4), (step, 0, 0)).save(tmp_path / "samples" / f"step-{1000 * step:08d}.jpg")
    titles = [sample["title"] for sample in read_samples(tmp_path)]
    assert len(titles) == 4 and (titles[0], titles[-1]) == ("After 1,000 steps", "After 7,000 steps")


def test_a_report_shows_a_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", LINES)
    (run / "samples").mkdir()
    Image.new("RGB", (4, 4)).save(run / "samples" / "step-00000004.jpg")
    path = tmp_path / "report.html"
    write_report(path, [TRAINED], run=run)
    page = Page(path)
    assert "Training" in page.text and "After 4 steps" in page.text and "harmonic mean" in page.text
    lines = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    assert len(lines) == 7 and "0.0,80.0 160.0,120.0 320.0,0.0" in lines
    write_report(path, [TRAINED])
    assert "polyline" not in [tag for tag, _ in Page(path).tags]


def test_the_run_of_a_model_is_found_beside_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", LINES)
    assert run_of_model(str(run / "last")) == run
    for name in (str(tmp_path / "elsewhere" / "last"), "toy", "CIDAS/clipseg-rd64-refined", "x" * 5000):
        assert run_of_model(name) is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not the folder of a training run: it has no log.jsonl"):
        write_report(tmp_path / "report.html", [TRAINED], run=tmp_path)
    assert not (tmp_path / "report.html").exists()
