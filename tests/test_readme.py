"""What README and docs tell people to type."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ovparts_hf import PartSegmenter, cli
from ovparts_hf.models.loading import TOY_FOLDER

from .reporting.cards.reading import fences

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "ovparts_hf" / "toy" / "README.md"]


def command_lines(page):
    text = "\n".join(fences(page.read_text(encoding="utf-8"), "bash")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("ovparts ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_exist_with_these_options(page):
    for line in command_lines(page):
        options, overrides = cli._parser().parse_known_args(shlex.split(line, comments=True)[1:])
        assert options.takes_overrides or not overrides, line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_snippets_compile(page):
    for snippet in fences(page.read_text(encoding="utf-8"), "python"):
        compile(snippet, page.name, "exec")


def test_the_first_snippet_of_the_readme_runs_as_pasted(tmp_path, monkeypatch):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(fences((ROOT / "README.md").read_text(encoding="utf-8"), "python")[0], found)
    assert (tmp_path / "parts.png").is_file()
    assert found["result"].found == found["result"].classes == ("truck's body", "truck's wheel", "truck's window")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 115


PHOTOGRAPH = "CIDAS/clipseg-rd64-refined"


def photograph_snippet(folder):
    """The second snippet of the README; beside it a photograph."""
    skimage_data = pytest.importorskip("skimage.data", reason="needs scikit-image's photographs")
    Image.fromarray(skimage_data.chelsea()).save(folder / "photo.jpg")
    snippet = fences((ROOT / "README.md").read_text(encoding="utf-8"), "python")[1]
    assert snippet.count(PHOTOGRAPH) == 1
    return snippet


def run_on_photograph(snippet):
    found = {"PartSegmenter": PartSegmenter}  # which the first snippet imports
    exec(snippet, found)
    assert found["result"].label_map.shape == (300, 451)
    return found["result"]


def test_the_snippet_for_photographs_runs_with_a_stock_model_of_the_package(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    run_on_photograph(photograph_snippet(tmp_path).replace(PHOTOGRAPH, str(TOY_FOLDER / "clipseg")))
    assert [message for message in caplog.messages if "trained" in message] == []


@pytest.mark.skipif(not os.environ.get("RUN_HUB"), reason="downloads CLIPSeg from the Hub: set RUN_HUB=1")
def test_the_snippet_for_photographs_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", "from ovparts_hf import PartSegmenter\n" + photograph_snippet(tmp_path)]
    online = {key: value for key, value in os.environ.items() if key not in ("HF_HOME", "HF_HUB_OFFLINE")}
    subprocess.run(command, env={**online, "PYTHONPATH": str(ROOT)}, check=True, timeout=1800)


def test_the_readme_links_to_files_that_exist():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in (part.split(")")[0] for part in text.split("](")[1:]):
            if not target.startswith(("http", "#")):
                assert (page.parent / target.split("#")[0]).exists(), (page.name, target)
