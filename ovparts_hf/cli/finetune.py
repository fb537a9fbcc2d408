"""Fine-tuning without a recipe, and which images to label next."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from ..utils.files import user_path
from .base import DATA, argument, command
from .failures import check_writable
from .predict import read_parts_option

if TYPE_CHECKING:
    from ..reporting.finetuning import FineTuned
    from ..reporting.labelling import LabellingCandidate

_FORMATS = ("coco", "cvat", "labelstudio")
_COUNT = argument("--count", type=int, default=20, help="how many images are suggested for labelling")
_FORMAT = argument("--format", choices=_FORMATS, default="coco", help="of the pre-labels of these images")
_SHOWN = 5


@command(
    "fine-tune a model on a prepared dataset without a recipe: settings are chosen from data and machine, the model is "
    "scored before and after (other arguments override what is chosen, key=value)",
    "ovparts finetune data/toy-garden outputs/garden --time 10m",
    DATA,
    argument("out", type=user_path, help="folder to make; the same command continues what was interrupted"),
    argument(
        "--model",
        help="what to start from: a family (clipseg, catseg, ...), whose stock weights are taken, a folder, a Hub id, "
        "or toy (default: toy-trained for flat drawings, otherwise clipseg)",
    ),
    argument("--shots", type=int, metavar="K", help="train on so few images that each part is in at least K"),
    argument("--time", metavar="DURATION", help="what everything may take, such as 20m (default: no limit)"),
    argument("--seed", type=int, default=0, help="random seed"),
    argument("--unlabelled", type=user_path, metavar="FOLDER", help="images of which some are suggested for labelling"),
    _COUNT,
    _FORMAT,
    argument("--dry-run", action="store_true", help="print what would be done, and write nothing"),
    argument("--overwrite", action="store_true", help="replace an earlier fine-tuning in OUT"),
    takes_overrides=True,
)
def _finetune(options: Namespace) -> None:
    from ..reporting.finetuning import finetune
    from ..training.finetuning.draft import draft_plan
    from ..training.finetuning.request import FineTuningRequest
    from ..training.recipe import parse_overrides

    overrides = parse_overrides(options.overrides)
    limits: dict[str, Any] = {"shots": options.shots, "time": options.time, "seed": options.seed}
    if options.dry_run:
        request = FineTuningRequest(options.data, options.out, options.model, **limits, overrides=overrides)
        print(draft_plan(request).table())
        return
    check_writable(options.out)
    result = finetune(
        options.data,
        options.out,
        options.model,
        **limits,
        unlabelled=options.unlabelled,
        count=options.count,
        formats=[options.format],
        overrides=overrides,
        overwrite=options.overwrite,
    )
    print(_describe(result))


def _describe(result: FineTuned) -> str:
    from ..evaluation.results import COLUMNS, format_percent, markdown_table

    results = {"before": result.before, "after": result.after}
    rows = [["IoU in percent", *COLUMNS.values()]]
    for label, each in results.items():
        if each is not None:
            rows.append([label, *(format_percent(each.metrics.get(key, float("nan"))) for key in COLUMNS)])
    lines = [markdown_table(rows), f"Model: {result.model}", f"Report: {result.report}"]
    return "\n".join(lines)


@command(
    "order images by how much could be learned from labelling them, with pre-labels for labelling tools",
    "ovparts label-next outputs/garden/run/last photos outputs/label-next --count 20 --format cvat",
    argument("model", help="folder or Hub id of the model to be improved"),
    argument("images", type=user_path, help="folder of images"),
    argument("out", type=user_path, help="folder to make"),
    argument("--parts", action="append", help="what to look for, as in predict (default: the model's own vocabulary)"),
    _COUNT,
    _FORMAT,
    argument("--overwrite", action="store_true", help="replace an earlier suggestion in OUT"),
)
def _label_next(options: Namespace) -> None:
    from ..inference.segmenter import PartSegmenter
    from ..reporting.labelling import check_labelling_target, images_to_label, suggest_labelling

    images_to_label(options.images, options.out)  # before a model is loaded
    check_labelling_target(options.out, options.overwrite)
    check_writable(options.out)
    candidates = suggest_labelling(
        PartSegmenter.from_pretrained(options.model),
        options.images,
        options.out,
        count=options.count,
        parts=read_parts_option(options.parts),
        formats=[options.format],
        overwrite=options.overwrite,
    )
    for candidate in candidates[:_SHOWN]:
        print(_line(candidate))
    print(options.out)


def _line(candidate: LabellingCandidate) -> str:
    confused = f" ({' or '.join(candidate.confused)}?)" if candidate.confused else ""
    return f"{candidate.score:.2f}  {candidate.image}{confused}"
