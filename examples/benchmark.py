"""Times every model against plainer ways to the same answer and against the arithmetic that no way can avoid.

    python examples/benchmark.py --model all --workload all --also options scaling train --json docs/benchmarks.json
    python examples/benchmark.py --model all --workload all --images 6 --device cuda --json docs/benchmarks.json
    python examples/benchmark.py --report docs/benchmarks.json

The first two commands measure full-size models with random weights; the last one writes the tables and the plot of
docs/benchmarks.md. A file that exists is extended: what is measured again, on the same device, is replaced.

The ways, alternating image by image in one process, so that a machine that slows down slows all of them:

* ours: class names encoded once, one forward pass per image, only the parts of its objects decoded;
* plain: what the original does for every (image, object). CLIPSeg encodes all prompts padded to 77 tokens, runs the
  whole vision tower and decodes all classes and "none"; PartCLIPSeg does the same with all part and object names, makes
  the scores of all classes of them and resizes all; CATSeg runs the whole model, with the guidance repeated for
  every class, and resizes the scores of all classes; PartCATSeg does the same, and decodes the names of parts and
  objects, too; ZSseg+ encodes all prompts padded to 77 tokens, runs backbone and pixel decoder, has CLIP encode the
  object's crop once for each part predicted in it, and resizes the scores of all classes; MaskFormer runs the whole
  model, proposes masks after each layer and resizes the scores of all classes;
* stock (CLIPSeg): transformers' model as its documentation shows it, one copy of the image per class. Its cost is
  proportional to their number; 12 are timed;
* floor: the matrix products of ours alone, see benchmark_floor.py.

The workloads are like Pascal-Part-116 (116 classes, images of 500 x 375 pixels with 1.6 objects) and ADE20K-Part-234
(234 classes, 683 x 512 pixels with 8 objects, of which the plain way is timed on one). Of CPU seconds, wall
seconds (on a GPU the only ones that count) and peak memory, the median, minimum and maximum over images are kept, and
whether label maps are equal.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from benchmark_catseg import CatSegWays
from benchmark_clipseg import STOCK_CLASSES, ClipSegWays
from benchmark_floor import count_products, measure_floor
from benchmark_maskformer import MaskFormerWays
from benchmark_measure import Measured, count_different, measure, spread
from benchmark_partcatseg import PartCatSegWays
from benchmark_partclipseg import PartClipSegWays
from benchmark_workload import WORKLOADS, Workload
from benchmark_zsseg import ZSSegWays

WAYS = {
    "clipseg": ClipSegWays,
    "partclipseg": PartClipSegWays,
    "catseg": CatSegWays,
    "partcatseg": PartCatSegWays,
    "zsseg": ZSSegWays,
    "maskformer": MaskFormerWays,
}
ALSO = ("options", "compile", "scaling", "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[*WAYS, "all"], default="clipseg")
    parser.add_argument("--workload", choices=[*WORKLOADS, "all"], default="pascal")
    parser.add_argument("--images", "--pictures", type=int, help="of each workload (default: pascal 2, ade 1)")
    parser.add_argument("--without", nargs="*", default=[], metavar="WAY", help="ways to leave out")
    parser.add_argument("--also", nargs="*", choices=ALSO, default=[], help="what else to measure, of the same models")
    parser.add_argument("--train", action="store_true", help="the same as --also train")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help='e.g. "cuda" (default: %(default)s)')
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write docs/benchmarks.md from these figures, only")
    options = parser.parse_args()
    if options.report:
        from benchmark_report import write_report

        return write_report(json.loads(options.report.read_text(encoding="utf-8")))
    torch.set_num_threads(options.threads)
    by_device: dict[str, Any] = {}
    if options.json and options.json.exists():
        by_device = json.loads(options.json.read_text(encoding="utf-8"))
    figures = by_device.setdefault(options.device, {})
    figures["machine"] = describe_machine(options.device, options.threads)
    models = list(WAYS) if options.model == "all" else [options.model]
    workloads = list(WORKLOADS) if options.workload == "all" else [options.workload]
    for section, key, value in measurements(options, models, workloads):
        figures.setdefault(section, {})[key] = value
        if options.json:
            options.json.write_text(json.dumps(by_device, indent=1) + "\n", encoding="utf-8")


def measurements(
    options: argparse.Namespace, models: list[str], workloads: list[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Section, name and figures of everything that was requested, one after the other."""
    for workload in workloads:
        for model in models:
            yield "speed", f"{model}, {workload}", measure_speed(model, WORKLOADS[workload], options)
    if {"options", "compile"}.intersection(options.also):
        from benchmark_options import COMPILE, OPTIONS, measure_options

        names = [name for name in OPTIONS if ("compile" if name == COMPILE else "options") in options.also]
        for model in models:
            for name, values in measure_options(WAYS[model], options.device, names):
                yield "options", f"{model}, {name}", values
    if "scaling" in options.also:
        from benchmark_scaling import POINTS, measure_scaling

        for model in filter(POINTS.__contains__, models):
            yield "scaling", model, measure_scaling(model, options.threads)
    if "train" in options.also or options.train:
        from benchmark_train import STEPS, measure_training

        for model in filter(models.__contains__, STEPS):
            yield "training", model, measure_training(model, threads=options.threads)


def describe_machine(device: str, threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else _processor()
    vectors = torch.backends.cpu.get_cpu_capability()
    return {"device": device, "name": name, "vectors": vectors, "threads": threads, "torch": torch.__version__}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure_speed(model: str, workload: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """All ways of a model on the images of a workload."""
    torch.manual_seed(0)
    device = options.device
    ways = WAYS[model](workload, device)
    images = options.images or workload.images
    figures: dict[str, Any] = {"images": images}
    if hasattr(ways, "encode"):
        text, _ = measure(ways.encode, device)
        figures["class names, once"] = text._asdict()
        print(f"{model}, {workload.name}: class names, once per vocabulary: {text.cpu:.2f} CPU s", flush=True)
    names = [name for name in ways.names if name not in options.without]
    results: dict[str, list[Measured]] = {name: [] for name in names}
    floors, maps = [], {name: [] for name in names}
    for number in range(images):
        image, objects = workload.random_image(number), workload.objects[number % len(workload.objects)]
        products = count_products(lambda: ways.ours(image, objects))  # noqa: B023  called at once; warms up, too
        for name in names:
            arguments, timed = (image, objects), len(objects)
            if name == "plain":
                timed = min(timed, workload.plain_objects)
                arguments = (*arguments, timed)
            measured, label_maps = measure(lambda: getattr(ways, name)(*arguments), device)  # noqa: B023
            factor = len(workload.taxonomy.part_classes) / STOCK_CLASSES if name == "stock" else len(objects) / timed
            results[name].append(Measured(measured.cpu * factor, measured.wall * factor, measured.memory))
            maps[name].append(label_maps)
            cost = f"{results[name][-1].cpu:.2f} CPU s"
            print(f"{model}, image {number} ({', '.join(objects)}), {name}: {cost}", flush=True)
        floors.append(measure_floor(products, device))
    clock = "cpu" if torch.device(device).type == "cpu" else "wall"
    figures["floor"] = {
        "seconds": spread(floor.seconds for floor in floors),
        "gflop": spread(floor.flops / 1e9 for floor in floors),
        "gflop per second": spread(floor.flops_per_second / 1e9 for floor in floors),
        "ours / floor": spread(getattr(m, clock) / floor.seconds for m, floor in zip(results["ours"], floors)),
    }
    for name, measured in results.items():
        figures[name] = {key: spread(getattr(m, key) for m in measured) for key in Measured._fields}
        if name != "ours":
            ratios = (getattr(a, clock) / getattr(b, clock) for a, b in zip(measured, results["ours"]))
            figures[name]["ratio"] = spread(ratios)
    if "plain" in names:
        figures["different pixels"] = count_different(zip(maps["plain"], maps["ours"]))
    ours, floor = figures["ours"][clock][0], figures["floor"]
    print(f"{model}, {workload.name}: {1000 * ours:.0f} ms an image, {floor['ours / floor'][0]:.2f} times the floor of")
    print(f"    {floor['gflop'][0]:.0f} GFLOP at {floor['gflop per second'][0]:.0f} GFLOP/s", flush=True)
    return figures


if __name__ == "__main__":
    main()
