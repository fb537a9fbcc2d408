"""The tables of docs/benchmarks.md come from figures, and are those of the file beside it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from examples.benchmark_report import BEGIN, END, plot_scaling, write_report

DOCS = Path(__file__).parents[2] / "docs"
POINT = {"cpu": 1.5, "wall": 2.0, "memory": 300.0}
ON_GPU = {
    "machine": {"device": "cuda", "name": "a card", "vectors": "AVX2", "threads": 2, "torch": "2.9"},
    "speed": {
        "catseg, ade": {
            "ours": {"cpu": [9, 8, 10], "wall": [0.02, 0.02, 0.02], "memory": [700, 600, 800]},
            "plain": {"ratio": [5, 4.5, 6]},
            "floor": {
                "seconds": [0.01] * 3,
                "gflop": [400] * 3,
                "gflop per second": [4e4] * 3,
                "ours / floor": [2] * 3,
            },
            "different pixels": [1, 2000],
        }
    },
    "options": {
        "clipseg, int8 linear layers": {"gain": [2, 1, 3], "different pixels": [5, 10], "change of hIoU": -0.25},
        "clipseg, torch.compile": {"impossible": "RuntimeError: no compiler"},
    },
    "training": {"clipseg": {way: {**POINT, "gradients_differ_by": 1e-6} for way in ("plain", "ours")}},
}
ON_CPU = {"machine": {**ON_GPU["machine"], "device": "cpu", "name": "a processor"}, "speed": ON_GPU["speed"]}
FIGURES = {"cpu": ON_CPU, "cuda": ON_GPU}


def test_every_figure_has_its_place(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"Before\n{BEGIN}\nold\n{END}\nAfter\n", encoding="utf-8")
    write_report(FIGURES, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before\n") and text.endswith("\nAfter\n") and "old" not in text
    assert "Measured on cuda (a card, AVX2), 2 threads, torch 2.9." in text
    assert text.index("## On a CPU") < text.index("Measured on cpu (a processor") < text.index("## On a GPU")
    assert "| model, workload | ours (CPU s) | floor (CPU s) |" in text
    assert "| CATSeg, ade | 9.00 (8.00 to 10.00) | 0.01 | 2.00 | 5.0 (4.5 to 6.0) |  |" in text
    assert "| model, workload | ours (ms) | floor (ms) |" in text
    assert "| CATSeg, ade | 20.0 | 10.0 | 2.00 | 5.0 (4.5 to 6.0) |  |" in text
    assert "| CATSeg, ade | 400 | 40000 |  | 1 of 2,000 |\n" in text
    assert "| CLIPSeg | int8 linear layers | 2.00 (1.00 to 3.00) | 5 of 10 | -0.25 |" in text
    assert "| CLIPSeg | torch.compile |  | not here: `RuntimeError: no compiler` |  |" in text
    assert "| CLIPSeg | ours | 1.50 | 300 | 1.00 | 1.00 | 1e-06 |" in text
    write_report(FIGURES, tmp_path)
    assert page.read_text(encoding="utf-8") == text


def test_growth_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    plot_scaling({"clipseg": {"classes": {"10": POINT, "100": POINT}, "images": {"1": POINT}}}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_the_page_has_the_figures_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[write_report.__module__], "plot_scaling", lambda *_: None)
    shutil.copy(DOCS / "benchmarks.md", tmp_path)
    write_report(json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8")), tmp_path)
    expected = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert (tmp_path / "benchmarks.md").read_text(encoding="utf-8") == expected
