"""Commands about results and predictions that exist already."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..utils.files import user_path
from .base import BOUNDARY, DATA, EXTRA_SCORES, METRICS, OVERWRITE, SETTING, TASK, argument, command
from .failures import check_writable, check_writable_file

if TYPE_CHECKING:
    from ..evaluation.results import BenchmarkResult
    from ..metrics import ImageCounts


@command(
    "make one HTML page of results, beside the paper's numbers",
    "ovparts report outputs/clipseg outputs/catseg --out outputs/report.html",
    argument("results", type=user_path, nargs="+", help="result folders or files; the first is the subject"),
    argument("--out", type=user_path, default=Path("report.html"), help="HTML file"),
    argument("--labels", nargs="+", help="a short name for each result; equal names share a table row"),
    argument("--run", type=user_path, help="folder of a training run, whose curves and pictures are shown, too"),
)
def _report(options: Namespace) -> None:
    from ..evaluation.results import BenchmarkResult
    from ..reporting.report import write_report

    check_writable_file(options.out)
    results = [BenchmarkResult.from_json(result_file(path)) for path in options.results]
    write_report(options.out, results, labels=options.labels, run=options.run)
    print(options.out)


@command(
    "compare two models on the same images, by a paired bootstrap",
    "ovparts compare outputs/clipseg outputs/catseg",
    argument("first", type=user_path, help="folder with result.json and image_counts.npz"),
    argument("second", type=user_path, help="likewise"),
    argument("--samples", type=int, default=1000, help="bootstrap samples"),
    argument("--seed", type=int, default=0, help="random seed"),
)
def _compare(options: Namespace) -> None:
    from ..evaluation.bootstrap import compare_results, comparison_table
    from ..evaluation.results import BenchmarkResult

    differences = compare_results(options.first, options.second, samples=options.samples, seed=options.seed)
    paths = [options.first, options.second]
    results = [BenchmarkResult.from_json(result_file(path)) for path in paths]
    names = [path.resolve().name for path in paths]
    if names[0] == names[1]:
        names = [str(path) for path in paths]
    caveats = dict.fromkeys(sentence for result in results for sentence in result.caveats())
    print("\n\n".join([*caveats, comparison_table(differences, names=names)]))


@command(
    "write the manifest that says which label maps `ovparts score` expects as PNG files",
    "ovparts submit-format data/pascal-part-116 outputs/mine --name my-model",
    DATA,
    argument("out", type=user_path, help="folder of the predictions"),
    TASK,
    SETTING,
    argument("--name", default="unnamed", help="name of the model that makes the predictions"),
)
def _submit_format(options: Namespace) -> None:
    from ..data.part_dataset import PartDataset
    from ..evaluation.submission import write_manifest

    check_writable(options.out)
    print(write_manifest(options.out, PartDataset.load(options.data), options.task, options.setting, options.name))


@command(
    "score a folder of predicted label maps, without the model",
    "ovparts score outputs/mine data/pascal-part-116 --out outputs/mine-scores",
    argument("folder", type=user_path, help="PNG files and manifest.json, see `ovparts submit-format`"),
    DATA,
    METRICS,
    BOUNDARY,
    EXTRA_SCORES,
    argument(
        "--label-size",
        type=int,
        nargs=2,
        metavar=("SHORT", "LONGEST"),
        help="size that labels are first resized to, as by the original's data mapper (for CLIPSeg 800 1333)",
    ),
    argument("--out", type=user_path, help="folder for result.json, classes.csv and image_counts.npz"),
    OVERWRITE,
)
def _score(options: Namespace) -> None:
    from ..data.part_dataset import PartDataset
    from ..evaluation.evaluator import score_folder

    if options.out is not None:
        check_writable(options.out)
        check_replaceable(options.out, options.overwrite)
    dataset = PartDataset.load(options.data)
    how = {"boundary": options.boundary, "label_size": options.label_size, "extra_scores": options.extra_scores}
    result, images = score_folder(options.folder, dataset, options.metrics, **how)
    print(result.table())
    if options.out is not None:
        write_result(options.out, result, images)


def result_file(path: Path) -> Path:
    """The file of a result that may be named by its folder."""
    from ..evaluation.bootstrap import RESULT_FILE

    return path / RESULT_FILE if path.is_dir() else path


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Refuses a folder that holds the result of a whole evaluation, unless it is to be overwritten."""
    from ..evaluation.bootstrap import RESULT_FILE
    from ..evaluation.results import BenchmarkResult

    path = folder / RESULT_FILE
    if path.exists() and not overwrite and not BenchmarkResult.from_json(path).partial:
        raise ConfigurationError(f"{path} is the result of a whole evaluation; name another --out, or say --overwrite.")


def write_result(folder: Path, result: BenchmarkResult, images: ImageCounts) -> None:
    """Writes classes.csv and image_counts.npz, and last result.json, by which an evaluation counts as complete."""
    from ..evaluation.bootstrap import COUNTS_FILE, RESULT_FILE

    (folder / RESULT_FILE).unlink(missing_ok=True)
    result.to_csv(folder / "classes.csv")
    images.save(folder / COUNTS_FILE)
    result.to_json(folder / RESULT_FILE)
