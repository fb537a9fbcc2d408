"""The command `ovparts`. Each subcommand calls one function of the library."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import Accelerator, PartialState
from transformers.utils import logging as transformers_logging

from dataset_builders import BUILDERS, RELEASES, get_builder

from .comparison import PICTURES_FILE, RESULT_FILE, compare_results, comparison_table
from .conversion import CONVERTERS, VOCABULARIES, convert
from .data.check import check
from .data.few_shot import FewShotList
from .data.part_dataset import PartDataset
from .data.repository import write_repository
from .demo import RECIPES, demo_table, run_demo
from .errors import ConfigurationError, OVPartsError
from .evaluation import evaluate_model
from .gallery import build_galleries
from .inference import TestTime
from .loading import load_model
from .metrics import PictureCounts
from .metrics.flavours import FLAVOURS
from .models.resnet import RESNETS
from .objects import get_objects, read_names
from .ranking import RecordScore
from .report import write_report
from .results import BenchmarkResult
from .scoring import score_folder
from .submission import write_manifest
from .tasks import TASKS, Setting
from .training import TrainArguments, train
from .training.recipe import parse_overrides
from .vocabulary import store_vocabulary


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line after `ovparts`; those of the process when None.

    Returns:
        The exit code: 0, or 1 if something was wrong with what was given or found.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options, overrides = _parser().parse_known_args(words)
    if overrides and options.run not in (_train, _demo):
        _parser().error(f"unrecognized arguments: {shlex.join(overrides)}")
    options.words, options.overrides = words, overrides
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    transformers_logging.disable_progress_bar()
    try:
        return options.run(options)
    except OVPartsError as error:
        print(f"ovparts: {error}", file=sys.stderr)
        return 1


def _prepare(options: argparse.Namespace) -> int:
    builder_class = get_builder(options.name)
    if options.name in RELEASES and options.source is None:
        raise ConfigurationError(f"{options.name} needs its SOURCE: the release archive or its folder.")
    if options.name not in RELEASES and options.source is not None:
        raise ConfigurationError(f"{options.name} is drawn, not read; give only the OUT folder.")
    builder = builder_class() if options.source is None else builder_class(data_dir=options.source)
    print(write_repository(builder, options.out, options.num_proc, options.overwrite))
    return 0


def _check(options: argparse.Namespace) -> int:
    result = check(options.path, RELEASES, options.num_proc)
    print(result.to_json() if options.json else result.to_text())
    return 0 if result.ok else 1


def _train(options: argparse.Namespace) -> int:
    folder = train(TrainArguments.from_recipe(options.recipe, options.overrides))
    if PartialState().is_main_process:
        print(folder)
    return 0


def _few_shot(options: argparse.Namespace) -> int:
    chosen = FewShotList.draw(PartDataset.load(options.data), options.shots, options.seed)
    chosen.to_json(options.out)
    print(chosen)
    print(options.out)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision=options.mixed_precision)
    dataset = PartDataset.load(options.data)
    if options.few_shot_list is not None:
        FewShotList.from_json(options.few_shot_list).apply(dataset)
    model, processor = load_model(options.model)
    model.to(accelerator.device)
    store_vocabulary(model, processor, dataset.taxonomy.part_classes)
    names = None if options.object_names is None else read_names(options.object_names)
    objects = options.objects and get_objects(options.objects, model, processor, dataset, names)
    pictures = PictureCounts(len(dataset.taxonomy.part_classes))
    scores: list[RecordScore] = []
    asked = {
        "setting": options.setting,
        "metrics": options.metrics,
        "compat": None if options.compat == "none" else options.compat,
        "objects": objects,
        "test_time": TestTime(options.tta, options.crf),
        "sliding_window": options.sliding_window,
    }
    result = evaluate_model(
        model,
        processor,
        dataset,
        options.task,
        batch_size=options.batch_size,
        workers=options.workers,
        max_pictures=options.max_pictures,
        boundary=options.boundary,
        pictures=pictures,
        scores=scores,
        accelerator=accelerator,
        **asked,
    )
    if accelerator.is_main_process:
        print(result.table())
        if options.out is not None:
            result.to_json(options.out / RESULT_FILE)
            result.to_csv(options.out / "classes.csv")
            pictures.save(options.out / PICTURES_FILE)
            galleries = build_galleries(model, processor, dataset, options.task, scores=scores, **asked)
            command = shlex.join(["ovparts", *options.words])
            write_report(options.out / "report" / "index.html", [result], galleries, [command])
            print(options.out / "report" / "index.html")
    return 0


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
    result, pictures = score_folder(
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
        pictures.save(options.out / PICTURES_FILE)
    return 0


def _convert(options: argparse.Namespace) -> int:
    settings = {} if options.text_precision is None else {"text_precision": options.text_precision}
    report = convert(
        options.family,
        options.checkpoint,
        options.out,
        options.base,
        vocabularies=options.vocabulary,
        trained_on=options.trained_on,
        backbone=options.backbone,
        prompts=options.prompts,
        settings={**settings, **parse_overrides(options.set)},
    )
    print(report.summary())
    print(options.out)
    return 0


def _demo(options: argparse.Namespace) -> int:
    data = write_repository(get_builder("toy-world")(), options.out / "data", overwrite=True)
    results = run_demo(data, options.out, options.model, options.seed, options.overrides)
    print(demo_table(results))
    print(f"Report: {(options.out / 'report' / 'index.html').resolve()}")
    return 0


# ---- words -----------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ovparts", description="Open-vocabulary part segmentation.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = _command(
        commands,
        _prepare,
        "make a dataset repository from a release",
        "ovparts prepare pascal-part-116 PascalPart116.tar.gz data/pascal-part-116",
    )
    prepare.add_argument("name", choices=BUILDERS, help="which dataset")
    prepare.add_argument("source", nargs="?", help="release archive, or its extracted folder (not for toy-world)")
    prepare.add_argument("out", type=Path, help="folder to make")
    prepare.add_argument("--num-proc", type=int, default=1, help="processes (default: %(default)s)")
    prepare.add_argument("--overwrite", action="store_true", help="replace a dataset prepared there before")

    checking = _command(
        commands, _check, "compare a release or a prepared dataset with what it should hold", "ovparts check data/x"
    )
    checking.add_argument("path", type=Path, help="archive, extracted folder or prepared dataset")
    checking.add_argument("--json", action="store_true", help="print JSON")
    checking.add_argument("--num-proc", type=int, default=1, help="processes (default: %(default)s)")

    training = _command(
        commands,
        _train,
        "fine-tune a model; arguments that are not listed here override the recipe (key=value or --key value)",
        "ovparts train --recipe examples/recipes/toy-world/zero_shot/clipseg.yaml data=data/toy output=outputs/toy",
    )
    training.add_argument("--recipe", type=Path, help="YAML file with training arguments")

    few_shot = _command(
        commands,
        _few_shot,
        "draw few-shot training pictures, so that each part is labelled in at least K of them",
        "ovparts few-shot data/pascal-part-116 outputs/8-shot.json --shots 8 --seed 1",
    )
    few_shot.add_argument("data", help="prepared dataset: folder or Hub id")
    few_shot.add_argument("out", type=Path, help="JSON file for `ovparts train few_shot_list=FILE` and `evaluate`")
    few_shot.add_argument("--shots", type=int, default=16, help="K (default: %(default)s)")
    few_shot.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")

    evaluation = _command(
        commands,
        _evaluate,
        "score a model by the benchmark's protocol",
        "ovparts evaluate outputs/toy/last data/toy --task zero_shot --setting oracle_obj --out outputs/toy/evaluation",
    )
    evaluation.add_argument("model", help="folder or Hub id")
    evaluation.add_argument("data", help="prepared dataset: folder or Hub id")
    evaluation.add_argument("--task", choices=TASKS, default="zero_shot", help="default: %(default)s")
    evaluation.add_argument(
        "--setting", choices=[s.value for s in Setting], default="oracle_obj", help="default: %(default)s"
    )
    evaluation.add_argument(
        "--few-shot-list", type=Path, help="pictures that few-shot training used; without it those of the release"
    )
    evaluation.add_argument(
        "--objects",
        help='for pred_obj: "model", "column:NAME", a folder of object maps, or a segmentation model (folder, Hub id)',
    )
    evaluation.add_argument(
        "--object-names", type=Path, help="JSON file that maps the segmentation model's classes to objects"
    )
    evaluation.add_argument("--out", type=Path, help="folder for result.json, classes.csv and report/index.html")
    evaluation.add_argument("--batch-size", type=int, default=8, help="pictures at once (default: %(default)s)")
    evaluation.add_argument("--workers", type=int, default=0, help="processes that read (default: %(default)s)")
    evaluation.add_argument("--max-pictures", type=int, help="score only the first so many pictures")
    evaluation.add_argument(
        "--compat",
        choices=["ov_parts", "none"],
        default="ov_parts",
        help="label sizes and candidates as published, or sound",
    )
    evaluation.add_argument("--sliding-window", action="store_true", help="average windows and whole (CATSeg)")
    evaluation.add_argument(
        "--tta",
        action="store_true",
        help="average the mirrored picture, and several sizes if the model takes any",
    )
    evaluation.add_argument("--crf", action="store_true", help="refine scores by a dense CRF (needs pydensecrf2)")
    evaluation.add_argument("--metrics", choices=FLAVOURS, default="ov_parts", help="default: %(default)s")
    evaluation.add_argument("--boundary", action="store_true", help="score borders too")
    evaluation.add_argument(
        "--mixed-precision", choices=["no", "bf16", "fp16"], default="no", help="numbers move a little (default: no)"
    )
    evaluation.add_argument("--device", choices=["auto", "cpu"], default="auto", help="default: %(default)s")

    reporting = _command(
        commands,
        _report,
        "make one HTML page of results, beside the paper's numbers",
        "ovparts report outputs/clipseg outputs/catseg --out outputs/report.html",
    )
    reporting.add_argument("results", type=Path, nargs="+", help="result folders or files; the first is the subject")
    reporting.add_argument("--out", type=Path, default=Path("report.html"), help="default: %(default)s")
    reporting.add_argument("--labels", nargs="+", help="a short name for each result; equal names share a table row")

    comparing = _command(
        commands,
        _compare,
        "compare two models on the same pictures, by a paired bootstrap",
        "ovparts compare outputs/clipseg outputs/catseg",
    )
    comparing.add_argument("first", type=Path, help="folder with result.json and pictures.npz")
    comparing.add_argument("second", type=Path, help="likewise")
    comparing.add_argument("--samples", type=int, default=1000, help="draws (default: %(default)s)")
    comparing.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")

    formatting = _command(
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

    scoring = _command(
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
    scoring.add_argument("--out", type=Path, help="folder for result.json, classes.csv and pictures.npz")

    converting = _command(
        commands,
        _convert,
        "turn a released checkpoint into a folder for from_pretrained",
        "ovparts convert clipseg model_final.pth models/clipseg-pascal --base CIDAS/clipseg-rd64-refined",
    )
    converting.add_argument("family", choices=CONVERTERS, help="model family")
    converting.add_argument("checkpoint", type=Path, help=".pth or .safetensors")
    converting.add_argument("out", type=Path, help="folder to make")
    converting.add_argument(
        "--base",
        help="folder or Hub id of the stock model it is built on: CLIPSeg's for clipseg, CLIP for catseg and zsseg; "
        "maskformer needs none",
    )
    converting.add_argument(
        "--vocabulary",
        choices=VOCABULARIES,
        nargs="+",
        default=[],
        help="catseg: encode these class names now and save their features; maskformer: the one it was trained on",
    )
    converting.add_argument(
        "--trained-on", choices=VOCABULARIES, help="zsseg: whose seen parts it was trained on (default: none)"
    )
    converting.add_argument(
        "--backbone", choices=RESNETS, help="zsseg, maskformer: detectron2's ResNet that it has (default: resnet-50)"
    )
    converting.add_argument("--prompts", type=Path, help="zsseg: the original's separate checkpoint of tuned prompts")
    converting.add_argument(
        "--text-precision",
        choices=["float32", "float16"],
        help="float16 encodes class names as the original CATSeg does",
    )
    converting.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="fields of the configuration, as YAML"
    )

    demo = _command(
        commands,
        _demo,
        "draw the toy world, train on it, evaluate and report; other arguments override the recipe (key=value)",
        "ovparts demo --out outputs/demo",
    )
    demo.add_argument(
        "--model", choices=RECIPES, nargs="+", default=["clipseg"], help="one or more models (default: clipseg)"
    )
    demo.add_argument("--out", type=Path, default=Path("outputs/demo"), help="folder (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def _command(
    commands: argparse._SubParsersAction, run: Callable[[argparse.Namespace], int], summary: str, example: str
) -> argparse.ArgumentParser:
    name = run.__name__.removeprefix("_").replace("_", "-")
    parser = commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")
    parser.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
