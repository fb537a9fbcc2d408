"""From the figures of benchmark.py to the tables and the plot of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- figures: written by examples/benchmark.py --report -->", "<!-- end of figures -->"
NAMES = {
    "clipseg": "CLIPSeg",
    "partclipseg": "PartCLIPSeg",
    "catseg": "CATSeg",
    "partcatseg": "PartCATSeg",
    "zsseg": "ZSseg+",
    "maskformer": "MaskFormer",
}
_TITLES = {"cpu": "a CPU", "cuda": "a GPU"}
_DOTTED = (
    "Dotted: proportional to the number of classes, pixels, images or processes. What lies above it is a fixed cost."
)
Figures = dict[str, Any]


def write_report(figures: Figures, docs: Path = DOCS) -> None:
    """Replaces what stands between the two marks in docs/benchmarks.md, and draws docs/images/scaling.png.

    Args:
        figures: Of each device, what benchmark.py measured on it.
        docs: The folder of the documentation.
    """
    path = docs / "benchmarks.md"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    lines = []
    for device, found in figures.items():
        lines += [f"## On {_TITLES.get(device, device)}", "", *_machine(found["machine"])]
        lines += _speed(found.get("speed", {}), on_cpu=device == "cpu")
        lines += [*_options(found.get("options", {})), *_training(found.get("training", {}))]
        if "scaling" in found:
            plot_scaling(found["scaling"], docs / "images" / "scaling.png")
            lines += _scaling(found["scaling"])
    path.write_text(before + "\n".join([BEGIN, "", *lines, END]) + after, encoding="utf-8")


def _machine(machine: Figures) -> Iterator[str]:
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    device = f"{machine['device']} ({machine['name']}, {machine['vectors']})"
    yield f"Measured on {device}, {threads}, torch {machine['torch']}."
    yield ""


def _speed(speed: Figures, on_cpu: bool) -> Iterator[str]:
    """CPU seconds, or of another device wall milliseconds."""
    if not speed:
        return
    clock, unit, scale, digits = ("cpu", "CPU s", 1, 2) if on_cpu else ("wall", "ms", 1000, 1)
    columns = ("model, workload", f"ours ({unit})", f"floor ({unit})", "ours / floor", "plain / ours", "stock / ours")
    rows = []
    for name, values in speed.items():
        floor, ratios = values["floor"], [values.get(way, {}).get("ratio") for way in ("plain", "stock")]
        row = [_workload(name), _spread(values["ours"][clock], digits, scale), _spread(floor["seconds"], digits, scale)]
        rows.append([*row, _spread(floor["ours / floor"]), *(_spread(ratio, 1) if ratio else "" for ratio in ratios)])
    yield from _table("CPU seconds an image" if on_cpu else "Milliseconds an image", columns, rows)
    columns = ["model, workload", "GFLOP", "GFLOP/s", f"class names, once ({unit})", "different pixels"]
    columns += ["wall s", "peak MB"] * on_cpu
    rows = []
    for name, values in speed.items():
        floor, ours, text = values["floor"], values["ours"], values.get("class names, once")
        row = [_workload(name), f"{floor['gflop'][0]:.0f}", f"{floor['gflop per second'][0]:.0f}"]
        row += [f"{scale * text[clock]:.{digits}f}" if text else "", _share(values.get("different pixels"))]
        rows.append([*row, *[f"{ours['wall'][0]:.2f}", f"{ours['memory'][0]:.0f}"] * on_cpu])
    yield from _table("What stands behind them", columns, rows)


def _workload(name: str) -> str:
    model, workload = name.split(", ")
    return f"{NAMES[model]}, {workload}"


def _options(options: Figures) -> Iterator[str]:
    if not options:
        return
    rows = []
    for name, found in options.items():
        model, option = name.split(", ")
        if "impossible" in found:
            rows.append([NAMES[model], option, "", f"not here: `{found['impossible']}`", ""])
            continue
        change = found.get("change of hIoU")
        pixels, score = _share(found["different pixels"]), "" if change is None else f"{change:+.2f}"
        rows.append([NAMES[model], option, _spread(found["gain"]), pixels, score])
    columns = ("model", "option", "times less time", "different pixels", "hIoU, toy world")
    yield from _table("Options of torch", columns, rows)


def _training(training: Figures) -> Iterator[str]:
    if not training:
        return
    rows = []
    for model, ways in training.items():
        for way, values in ways.items():
            gains = (ways["plain"][key] / values[key] for key in ("cpu", "memory"))
            difference = f"{values['gradients_differ_by']:.0e}"
            rows.append([NAMES[model], way, f"{values['cpu']:.2f}", f"{values['memory']:.0f}"])
            rows[-1] += [*(f"{gain:.2f}" for gain in gains), difference]
    columns = ("model", "way", "CPU s", "MB", "times less time", "times less memory", "gradients differ by")
    yield from _table("A training step", columns, rows)


def _scaling(scaling: Figures) -> Iterator[str]:
    rows = [
        [NAMES[model], axis, size, f"{point['cpu']:.2f}", f"{point['wall']:.2f}", f"{point['memory']:.0f}"]
        for model, axes in scaling.items()
        for axis, points in axes.items()
        for size, point in points.items()
    ]
    yield from _table("Growth", ("model", "what grows", "to", "CPU s", "wall s", "MB beyond the weights"), rows)
    yield from (
        "![CPU seconds and memory by classes, image side, images and processes](images/scaling.png)",
        "",
        _DOTTED,
        "",
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (f"### {title}", "", f"| {' | '.join(columns)} |")
    yield "|" + "|".join("---:" if number else "---" for number in range(len(columns))) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _spread(values: Sequence[float], digits: int = 2, scale: float = 1) -> str:
    """Median, with minimum and maximum where they differ."""
    median, smallest, largest = (f"{scale * value:.{digits}f}" for value in values)
    return median if smallest == largest else f"{median} ({smallest} to {largest})"


def _share(counts: Sequence[int] | None) -> str:
    return "" if counts is None else f"{counts[0]:,} of {counts[1]:,}"


def plot_scaling(scaling: Figures, path: Path) -> None:
    """One column for each axis, time above memory, both logarithmic.

    Dotted lines are what would be proportional to the largest value: cost above them is fixed.
    """
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(axis for points in scaling.values() for axis in points))
    figure = Figure(figsize=(3 * len(axes), 5.5), layout="constrained")
    grid = figure.subplots(2, len(axes), squeeze=False)
    for column, axis in enumerate(axes):
        for plot, key, label in zip(grid[:, column], ("cpu", "memory"), ("CPU seconds", "MB beyond the weights")):
            for model in (name for name, of_model in scaling.items() if axis in of_model):
                points = scaling[model][axis]
                sizes, values = [int(size) for size in points], [point[key] for point in points.values()]
                color = f"C{list(NAMES).index(model)}"
                plot.plot(sizes, values, color=color, marker="o", label=NAMES[model])
                growth = 2 if axis == "side" else 1  # pixels grow with the square of it
                proportional = [values[-1] * (size / sizes[-1]) ** growth for size in sizes]
                plot.plot(sizes, proportional, ":", color=color, lw=0.8)
            plot.set(xscale="log", yscale="log", xlabel=axis, ylabel=label)
            sizes = sorted({int(size) for points in scaling.values() for size in points.get(axis, ())})
            plot.set_xticks(sizes, sizes)
            plot.set_xticks([], minor=True)
            plot.legend(fontsize=7)
    figure.savefig(path, dpi=80)
