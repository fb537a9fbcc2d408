"""The command that scores a model."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from accelerate import Accelerator

from ..data.few_shot import FewShotList
from ..data.part_dataset import PartDataset
from ..evaluation.bootstrap import COUNTS_FILE, RESULT_FILE
from ..evaluation.evaluator import evaluate_model
from ..evaluation.objects import get_objects, read_names
from ..evaluation.ranking import RecordScore
from ..inference.engine import TestTimeAugmentation
from ..metrics import ImageCounts
from ..metrics.flavours import FLAVOURS
from ..models.loading import load_config, load_model
from ..reporting.gallery import build_galleries
from ..reporting.report import write_report
from ..taxonomy.tasks import TASKS, Setting
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    evaluation = command(
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
        "--few-shot-list", type=Path, help="images that few-shot training used; without it those of the release"
    )
    evaluation.add_argument(
        "--objects",
        help='for pred_obj: "model", "column:NAME", a folder of object maps, or a segmentation model (folder, Hub id)',
    )
    evaluation.add_argument(
        "--object-names", type=Path, help="JSON file that maps the segmentation model's classes to objects"
    )
    evaluation.add_argument("--out", type=Path, help="folder for result.json, classes.csv and report/index.html")
    evaluation.add_argument("--batch-size", type=int, default=8, help="images at once (default: %(default)s)")
    evaluation.add_argument("--workers", type=int, default=0, help="processes that read (default: %(default)s)")
    evaluation.add_argument("--max-images", type=int, help="score only the first so many images")
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
        help="average the mirrored image, and several sizes if the model takes any",
    )
    evaluation.add_argument("--crf", action="store_true", help="refine scores by a dense CRF (needs pydensecrf2)")
    evaluation.add_argument("--metrics", choices=FLAVOURS, default="ov_parts", help="default: %(default)s")
    evaluation.add_argument("--boundary", action="store_true", help="score borders too")
    evaluation.add_argument(
        "--mixed-precision", choices=["no", "bf16", "fp16"], default="no", help="numbers move a little (default: no)"
    )
    evaluation.add_argument("--device", choices=["auto", "cpu"], default="auto", help="default: %(default)s")


def _evaluate(options: argparse.Namespace) -> int:
    accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision=options.mixed_precision)
    load_config(options.model)  # a wrong name is noticed before the data are read
    dataset = PartDataset.load(options.data)
    if options.few_shot_list is not None:
        FewShotList.from_json(options.few_shot_list).apply(dataset)
    model, processor = load_model(options.model)
    model.to(accelerator.device)
    model.store_vocabulary(processor, dataset.taxonomy.part_classes)
    names = None if options.object_names is None else read_names(options.object_names)
    objects = options.objects and get_objects(options.objects, model, processor, dataset, names)
    images = ImageCounts(len(dataset.taxonomy.part_classes))
    scores: list[RecordScore] = []
    asked = {
        "setting": options.setting,
        "metrics": options.metrics,
        "compat": None if options.compat == "none" else options.compat,
        "objects": objects,
        "test_time": TestTimeAugmentation(options.tta, options.crf),
        "sliding_window": options.sliding_window,
    }
    result = evaluate_model(
        model,
        processor,
        dataset,
        options.task,
        batch_size=options.batch_size,
        workers=options.workers,
        max_images=options.max_images,
        boundary=options.boundary,
        images=images,
        scores=scores,
        accelerator=accelerator,
        **asked,
    )
    if accelerator.is_main_process:
        print(result.table())
        if options.out is not None:
            result.to_json(options.out / RESULT_FILE)
            result.to_csv(options.out / "classes.csv")
            images.save(options.out / COUNTS_FILE)
            galleries = build_galleries(model, processor, dataset, options.task, scores=scores, **asked)
            command = shlex.join(["ovparts", *options.words])
            write_report(options.out / "report" / "index.html", [result], galleries, [command])
            print(options.out / "report" / "index.html")
    return 0
