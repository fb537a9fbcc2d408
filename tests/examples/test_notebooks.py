"""The notebooks run from the first cell to the last, offline, with a few steps where they train for minutes."""

import json
import logging
from pathlib import Path

import pytest

from ovparts_hf import BenchmarkResult

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def logging_as_before():
    """Takes away what a notebook logs to, which is closed when its test ends."""
    root, before = logging.getLogger(), logging.getLogger().level
    yield
    root.setLevel(before)
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)


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
    install, first, *others = code_cells(FOLDER / "your_data.ipynb")
    assert first.count("STEPS = None") == 1
    names = {}
    for source in (install, first.replace("STEPS = None", "STEPS = 2"), *others):
        exec(source, names)
    assert {split: len(rows) for split, rows in names["dataset"].splits.items()} == {"train": 20, "validation": 10}
    assert set(names["dataset"].taxonomy.part_classes) <= set(names["TOY_GARDEN"].part_classes)
    run = tmp_path / "outputs" / "your_data" / "run"
    assert BenchmarkResult.from_json(run / "after.json").dataset["num_images"] == 10
    assert (run / "report" / "index.html").is_file()
    printed = capsys.readouterr().out
    assert "before: " in printed and "after: " in printed and "are a dataset again" in printed


def run(name):
    names = {}
    for source in code_cells(FOLDER / name):
        exec(source, names)
    return names


def test_a_first_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run("first_image.ipynb")
    assert names["result"].found == ("truck's body", "truck's wheel", "truck's window")
    assert (tmp_path / "outputs" / "first_image" / "overlay.png").is_file()
    assert "truck's wheel: " in capsys.readouterr().out


def test_the_benchmark(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run("benchmark.ipynb")
    scores = {name: result.metrics["hIoU"] for name, result in names["results"].items()}
    assert scores["toy-trained"] > scores["toy"] + 10
    assert 50 < names["metric"].compute()["hIoU"] < 100
    assert names["unseen"].title == "Unseen objects" and len(names["unseen"].items) == 3
    assert "difference" in capsys.readouterr().out


def test_without_the_library_the_notebook_asks_for_the_wheel_or_installs_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    commands = []
    monkeypatch.setattr("subprocess.run", lambda command, **options: commands.append(command))
    install = code_cells(FOLDER / "benchmark.ipynb")[0]
    with pytest.raises(AssertionError, match="Upload the wheel first"):
        exec(install, {})
    (tmp_path / "ovparts_hf-0.1.0-py3-none-any.whl").touch()
    exec(install, {})
    assert [command[1:] for command in commands] == [
        ["-m", "pip", "install", "--quiet", "ovparts_hf-0.1.0-py3-none-any.whl"]
    ]
