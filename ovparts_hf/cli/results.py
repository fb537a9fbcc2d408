"""Commands about results and predictions that exist already."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data.part_dataset import PartDataset
from ..evaluation.bootstrap import COUNTS_FILE, RESULT_FILE, compare_results, comparison_table
from ..evaluation.results import BenchmarkResult
from ..evaluation.scoring import score_folder
from ..evaluation.submission import write_manifest
from ..metrics.flavours import FLAVOURS
from ..reporting.report import write_report
from ..taxonomy.tasks import TASKS, Setting
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    reporting = command(
        commands,
        _report,
        "make one HTML page of results, beside the paper's numbers",
        "ovparts report outputs/clipseg outputs/catseg --out outputs/report.html",
    )
    reporting.add_argument("results", type=Path, nargs="+", help="result folders or files; the first is the subject")
    reporting.add_argument("--out", type=Path, default=Path("report.html"), help="default: %(default)s")
    reporting.add_argument("--labels", nargs="+", help="a short name for each result; equal names share a table row")

    comparing = command(
        commands,
        _compare,
        "compare two models on the same images, by a paired bootstrap",
        "ovparts compare outputs/clipseg outputs/catseg",
    )
    comparing.add_argument("first", type=Path, help="folder with result.json and image_counts.npz")
    comparing.add_argument("second", type=Path, help="likewise")
    comparing.add_argument("--samples", type=int, default=1000, help="draws (default: %(default)s)")
    comparing.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")

    formatting = command(
        commands,
        _submit_format,
        "write the manifest that says which label maps `ovparts score` wants as PNG files",
        "ovparts submit-format data/pascal-part-116 outputs/mine --name my-model",
    )
    formatting.add_argument("data", help="prepared dataset: folder or Hub id")
    formatting.add_argument("out", type=Path, help="folder of the predictions")
    formatting.add_argument("--task", choices=TASKS, default="zero_shot", help="default: %(default)s")
    formatting.add_argument(
        "--setting", choices=[s.value for s in Setting], default="oracle_obj", help="default: %(default)s"
    )
    formatting.add_argument("--name", default="unnamed", help="what makes the predictions")

    scoring = command(
        commands,
        _score,
        "score a folder of predicted label maps, without the model",
        "ovparts score outputs/mine data/pascal-part-116 --out outputs/mine-scores",
    )
    scoring.add_argument("folder", type=Path, help="PNG files and manifest.json, see `ovparts submit-format`")
    scoring.add_argument("data", help="prepared dataset: folder or Hub id")
    scoring.add_argument("--metrics", choices=FLAVOURS, default="ov_parts", help="default: %(default)s")
    scoring.add_argument("--boundary", action="store_true", help="score borders too")
    scoring.add_argument(
        "--label-size",
        type=int,
        nargs=2,
        metavar=("SHORT", "LONGEST"),
        help="size the labels are brought to first, as the original's data mapper does (for CLIPSeg 800 1333)",
    )
    scoring.add_argument("--out", type=Path, help="folder for result.json, classes.csv and image_counts.npz")


def _report(options: argparse.Namespace) -> int:
    paths = [path / RESULT_FILE if path.is_dir() else path for path in options.results]
    write_report(options.out, [BenchmarkResult.from_json(path) for path in paths], labels=options.labels)
    print(options.out)
    return 0


def _compare(options: argparse.Namespace) -> int:
    print(comparison_table(compare_results(options.first, options.second, samples=options.samples, seed=options.seed)))
    return 0


def _submit_format(options: argparse.Namespace) -> int:
    print(write_manifest(options.out, PartDataset.load(options.data), options.task, options.setting, options.name))
    return 0


def _score(options: argparse.Namespace) -> int:
    result, images = score_folder(
        options.folder,
        PartDataset.load(options.data),
        options.metrics,
        boundary=options.boundary,
        label_size=options.label_size,
    )
    print(result.table())
    if options.out is not None:
        result.to_json(options.out / RESULT_FILE)
        result.to_csv(options.out / "classes.csv")
        images.save(options.out / COUNTS_FILE)
    return 0
