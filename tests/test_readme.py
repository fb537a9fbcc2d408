"""What README and docs tell people to type."""

import shlex
from pathlib import Path

import pytest

from ovparts_hf import cli

from .reporting.cards.reading import fences

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "ovparts_hf" / "toy" / "README.md"]


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
    assert {"truck's body", "truck's wheel"} <= set(found["result"].found)


def test_the_readme_links_to_files_that_exist():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in (part.split(")")[0] for part in text.split("](")[1:]):
            if not target.startswith(("http", "#")):
                assert (page.parent / target.split("#")[0]).exists(), (page.name, target)
