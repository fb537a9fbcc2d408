"""The command that scores a model."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace

from ..errors import ConfigurationError
from ..taxonomy.tasks import get_task
from ..utils.files import user_path
from .base import BOUNDARY, DATA, EXTRA_SCORES, METRICS, OVERWRITE, SEGMENTER, SETTING, TASK, argument, command
from .failures import check_writable

DECODINGS = ("argmax", "rankseg")


@command(
    "score a model by the benchmark's protocol",
    "ovparts evaluate outputs/toy/last data/toy --task zero_shot --setting oracle_obj --out outputs/toy/evaluation",
    argument("model", help="folder or Hub id"),
    DATA,
    TASK,
    SETTING,
    argument(
        "--few-shot-list", type=user_path, help="images that few-shot training used; without it those of the release"
    ),
    argument(
        "--objects",
        help='for pred_obj: "model", "column:NAME", a folder of object maps, or a segmentation model (folder, Hub id)',
    ),
    argument("--object-names", type=user_path, help="JSON file that maps the segmentation model's classes to objects"),
    *SEGMENTER,
    argument(
        "--untrained-adapter",
        action="store_true",
        help="give a stock CLIPSeg the random adapter that training starts with, as the paper's rows without "
        "fine-tuning do",
    ),
    argument("--out", type=user_path, help="folder for result.json, classes.csv and report/index.html"),
    OVERWRITE,
    argument("--batch-size", type=int, default=8, help="images in a forward pass"),
    argument("--workers", type=int, default=0, help="processes that read images"),
    argument("--max-images", type=int, metavar="N", help="score only the first N images"),
    argument("--max-pictures", type=int, dest="max_images", help=SUPPRESS),  # its name up to 0.1
    argument(
        "--compat",
        choices=["ov_parts", "none"],
        default="ov_parts",
        help="label sizes and candidates as published, or sound",
    ),
    argument("--sliding-window", action="store_true", help="average windows and whole (CATSeg)"),
    argument("--tta", action="store_true", help="average the mirrored image, and several sizes if the model takes any"),
    argument("--crf", action="store_true", help="refine scores by a dense CRF (needs pydensecrf2)"),
    argument(
        "--decode",
        choices=DECODINGS,
        default="argmax",
        help="how a pixel gets its class; rankseg (pip install 'ovparts_hf[rankseg]') is never official",
    ),
    METRICS,
    BOUNDARY,
    EXTRA_SCORES,
    argument("--mixed-precision", choices=["no", "bf16", "fp16"], default="no", help="scores change a little"),
    argument("--device", choices=["auto", "cpu"], default="auto", help="where the model runs"),
)
def _evaluate(options: Namespace) -> None:
    from accelerate.utils import set_seed

    from ..data.few_shot import FewShotList
    from ..data.part_dataset import PartDataset
    from ..evaluation.evaluator import evaluate
    from ..evaluation.objects import get_objects, read_names
    from ..evaluation.predictor import Predictor
    from ..evaluation.provenance import objection
    from ..evaluation.ranking import RecordScore
    from ..inference.adapters.loading import trained_on
    from ..inference.decoding import check_decoding
    from ..inference.refinement import load_with_refiner
    from ..inference.tta import TestTimeAugmentation
    from ..metrics import ImageCounts
    from ..models.loading import ModelSource
    from ..reporting.gallery import build_galleries
    from ..reporting.report import write_report
    from ..reporting.training_run import run_of_model
    from ..utils.precision import new_accelerator, usable_precision
    from .results import check_replaceable, write_result

    check_decoding(options.decode)
    task = get_task(options.task)
    if options.few_shot_list is not None and task.held_out_config is None:
        raise ConfigurationError(f"The task {task.name} has no few-shot images; --few-shot-list needs --task few_shot.")
    if options.out is not None:
        check_writable(options.out)
        check_replaceable(options.out, options.overwrite)
    on_cpu = options.device == "cpu"
    precision = usable_precision(options.mixed_precision, cpu=on_cpu)
    accelerator = new_accelerator(precision, cpu=on_cpu)
    source = ModelSource(options.model, for_training=options.untrained_adapter)
    training = trained_on(source)  # a wrong name is noticed before the data are read
    if options.untrained_adapter and not source.starts_at_random:
        raise ConfigurationError(f"{options.model!r} is no stock CLIPSeg; leave out --untrained-adapter.")
    set_seed(0)  # for weights that are random
    dataset = PartDataset.load(options.data)
    if options.few_shot_list is not None:
        FewShotList.from_json(options.few_shot_list).apply(dataset)
    wrong = objection(training, dataset.taxonomy, task)
    if wrong is not None:
        raise ConfigurationError(wrong)
    class_names = None if options.class_names is None else read_names(options.class_names)
    model, processor, refiner = load_with_refiner(
        source, options.prompt, options.refiner, class_names, accelerator.device
    )
    model.to(accelerator.device)
    model.store_vocabulary(processor, dataset.taxonomy.part_classes)
    names = None if options.object_names is None else read_names(options.object_names)
    objects = options.objects and get_objects(options.objects, model, processor, dataset, names)
    predictor = Predictor(
        model,
        processor,
        dataset,
        setting=options.setting,
        metrics=options.metrics,
        compat=None if options.compat == "none" else options.compat,
        objects=objects,
        test_time=TestTimeAugmentation(options.tta, options.crf),
        sliding_window=options.sliding_window,
        batch_size=options.batch_size,
        workers=options.workers,
        refiner=refiner,
        decode=options.decode,
    )
    images = ImageCounts(len(dataset.taxonomy.part_classes))
    scores: list[RecordScore] = []
    result = evaluate(
        predictor,
        options.task,
        max_images=options.max_images,
        boundary=options.boundary,
        extra_scores=options.extra_scores,
        image_counts=images,
        scores=scores,
        accelerator=accelerator,
    )
    if not accelerator.is_main_process:
        return
    print(result.table())
    if options.out is not None:
        page = options.out / "report" / "index.html"
        try:
            galleries = build_galleries(predictor, options.task, scores=scores)
            write_report(page, [result], galleries, [options.command_line], run=run_of_model(options.model))
        finally:
            write_result(options.out, result, images)
        print(page)
