"""The notebooks run from the first cell to the last, offline, with a few steps where they train for minutes."""

import json
from pathlib import Path

import pytest

from ovparts_hf import BenchmarkResult

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code_cells(path):
    return ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_output(path):
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    for source in code_cells(path):
        compile(source, path.name, "exec")


def test_own_data_from_labels_to_what_to_label_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, *others = code_cells(FOLDER / "your_data.ipynb")
    assert first.count("STEPS = None") == 1
    names = {}
    for source in (first.replace("STEPS = None", "STEPS = 2"), *others):
        exec(source, names)
    assert {split: len(rows) for split, rows in names["dataset"].splits.items()} == {"train": 20, "validation": 10}
    assert set(names["dataset"].taxonomy.part_classes) <= set(names["TOY_GARDEN"].part_classes)
    run = tmp_path / "outputs" / "your_data" / "run"
    assert BenchmarkResult.from_json(run / "after.json").dataset["num_images"] == 10
    assert (run / "report" / "index.html").is_file()
    printed = capsys.readouterr().out
    assert "before: " in printed and "after: " in printed and "are a dataset again" in printed
