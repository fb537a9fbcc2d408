"""Measures `ovparts finetune` on the toy garden: thirty drawn images of objects that the toy weights never saw.

    python examples/finetune_toy.py --output-dir outputs/garden

draws one garden for each seed, fine-tunes on its 30 training images and scores 200 others before and after. The table
in docs/finetuning.md was made so.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from pathlib import Path

from ovparts_hf import finetune
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import ToyGarden
from ovparts_hf.evaluation.results import markdown_table


def main() -> None:
    """Prints a line for each seed and one with mean and standard deviation, and writes `results.json`."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of data and runs")
    parser.add_argument("--model", default="toy-trained", help="what to start from (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of garden and training")
    parser.add_argument("--images", type=int, default=30, help="training images (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="default: as `ovparts finetune` decides")
    options = parser.parse_args()
    rows = [_measure(options, seed) for seed in options.seeds]
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(_table(rows))


def _measure(options: argparse.Namespace, seed: int) -> dict[str, float]:
    data, out = (options.output_dir / f"{name}-{seed}" for name in ("data", options.model))
    if not data.exists():
        write_repository(ToyGarden({"train": options.images, "validation": 200}, seed), data)
    overrides = {} if options.steps is None else {"steps": options.steps}
    begin, cpu = time.perf_counter(), time.process_time()
    result = finetune(data, out, options.model, seed=seed, overrides=overrides)
    return {
        "seed": seed,
        "before": result.before.metrics["mIoU"],
        "after": result.after.metrics["mIoU"],
        "minutes": (time.perf_counter() - begin) / 60,
        "CPU minutes": (time.process_time() - cpu) / 60,  # without those of the worker that prepares images
    }


def _table(rows: list[dict[str, float]]) -> str:
    lines = [["seed", "before", "after", "gain", "minutes", "CPU minutes"]]
    for row in rows:
        gain = row["after"] - row["before"]
        numbers = (row["before"], row["after"], gain, row["minutes"], row["CPU minutes"])
        lines.append([str(row["seed"]), *(f"{number:.1f}" for number in numbers)])
    gains = [row["after"] - row["before"] for row in rows]
    spread = statistics.stdev(gains) if len(gains) > 1 else 0.0
    mean = [f"{statistics.mean(row[key] for row in rows):.1f}" for key in ("before", "after")]
    times = [f"{statistics.mean(row[key] for row in rows):.1f}" for key in ("minutes", "CPU minutes")]
    return markdown_table([*lines, ["mean", *mean, f"{statistics.mean(gains):.1f} ± {spread:.1f}", *times]])


if __name__ == "__main__":
    main()
