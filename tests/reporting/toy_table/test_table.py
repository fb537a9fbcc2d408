"""The table from runs to its files, on a world of a few images."""

import json

import pytest

from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.reporting.toy_table import table
from ovparts_hf.reporting.toy_table.jobs import RowJob

SMALL = ["steps=1", "batch_size=1", "warmup_steps=0", "samples_per_class=1"]


@pytest.fixture
def small_world(monkeypatch):
    monkeypatch.setattr("dataset_builders.toy_world.toy_world.SPLIT_SIZES", {"train": 4, "validation": 4})


def test_the_command_writes_table_and_report_and_repeats_nothing(small_world, tmp_path, capsys, monkeypatch):
    out = tmp_path / "table"
    rows = ["catseg-from-objects", "maskformer"]
    words = ["demo", "--table", "--out", str(out), "--rows", *rows, "--seeds", "0", "1", "--processes", "1", *SMALL]
    assert main(words) == 0
    printed = capsys.readouterr().out
    document = (out / "table.md").read_text()
    assert document in printed and f"Report: {(out / 'report' / 'index.html').resolve()}" in printed
    assert document.startswith("# Toy versions of all families at equal compute")
    assert "ovparts demo --table" in document and str(tmp_path) not in document

    numbers = json.loads((out / "table.json").read_text())
    assert list(numbers["rows"]) == rows and numbers["best"] == "catseg-from-objects"
    for name, row in numbers["rows"].items():
        assert list(row["seeds"]) == ["0", "1"] and row["steps"] == 1
        assert row["mean"]["hIoU"] == pytest.approx(sum(row["seeds"][seed]["hIoU"] for seed in "01") / 2)
        assert row["cpu_seconds"]["training"] > 0 and row["cpu_seconds"]["scoring"] > 0
        assert (row["difference"] is None) == (name == numbers["best"])
    assert numbers["pretraining"]["catseg"]["steps"] == 1
    page = (out / "report" / "index.html").read_text()
    assert "whole objects" in page and "Differences" in page
    assert "ovparts compare" in page and str(tmp_path) not in page

    monkeypatch.setattr(RowJob, "carry_out", lambda job: pytest.fail("was done already"))
    assert main(words) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ["nothing"]}, "There is no row 'nothing'"),
        ({"seeds": [0, 0]}, r"The seeds are \[0, 0\]; give one or more, each once"),
        ({"seeds": []}, "give one or more"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"processes": 0}, "processes is 0"),
        ({"overrides": ["data=x"]}, "cannot be overridden in the table"),
        ({"overrides": ["steps=0"]}, "steps is 0"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        table.make_table(tmp_path / "table", **options)
    assert not (tmp_path / "table").exists()
