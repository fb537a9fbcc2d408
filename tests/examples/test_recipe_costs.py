"""The page of what recipes take lists all of them, and counts what can be counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ovparts_hf.training.recipes import recipe_names

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import recipe_costs

    yield recipe_costs
    sys.modules.pop("recipe_costs", None)


def test_the_page_lists_every_recipe_with_what_was_measured():
    page = (ROOT / "docs" / "recipe_costs.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "docs" / "recipe_costs.json").read_text(encoding="utf-8"))
    rows = {line.split("`")[1]: line.split("|")[2:-1] for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == {*recipe_names(), *measured} and len(measured) >= 4
    for name, cells in rows.items():
        assert all(cell.strip() for cell in cells[:5])
        assert bool(cells[-1].strip()) == (name in measured), name


@pytest.mark.parametrize("words", ["toy-world/supervised/maskformer", "toy-world/zero_shot/clipseg class_chunk=2"])
def test_a_row_has_what_was_measured(script, words):
    found = script.measure(words)
    assert found["one"] > 0 and found["further"] > 0
    cells = [cell.strip() for cell in script.row(words, {"one": 10**9, "further": 2 * 10**9}).split("|")[1:-1]]
    assert cells[0] == f"`{words}`" and cells[1] == str(script.read_recipe(words).batch_size)
    assert cells[6:8] == ["1.00", "2.00"] and float(cells[8]) >= 1 + 2 * (int(cells[1]) - 1)
    assert script.row(words, None).endswith("|  |  |  |")
