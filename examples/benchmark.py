"""Times a model against plainer ways to the same answer, at full size with random weights.

    python examples/benchmark.py --model clipseg --images 5

The ways, alternating image by image in one process, so that a machine that slows down slows all of them:

* ours: class names encoded once, one forward pass per image, only the parts of its objects decoded;
* plain: what the original does for every (image, object). CLIPSeg encodes all prompts padded to 77 tokens, runs the
  whole vision tower and decodes all classes and "none"; CATSeg runs the whole model, with the guidance repeated for
  every class, and resizes the scores of all classes; ZSseg+ encodes all prompts padded to 77 tokens, runs backbone and
  pixel decoder, has CLIP encode the object's crop once for each part predicted in it, and resizes the scores of all
  classes;
* stock (CLIPSeg): transformers' model as its documentation shows it, one copy of the image per class;
* bfloat16 (CATSeg): ours under autocast, whose answers differ a little.

The workload is like Pascal-Part-116: 116 classes, images of 500 x 375 pixels with 1.6 objects on average. Reported
are the median over images with minimum and maximum of CPU seconds, wall seconds and peak memory, the ratios image
by image, and whether the label maps are equal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil
import torch
from benchmark_catseg import CatSegWays
from benchmark_clipseg import ClipSegWays
from benchmark_workload import OBJECTS, random_image
from benchmark_zsseg import ZSSegWays

WAYS = {"clipseg": ClipSegWays, "catseg": CatSegWays, "zsseg": ZSSegWays}


@dataclass
class Measured:
    """One way's cost for one image."""

    cpu: float
    wall: float
    memory: float
    label_maps: list[torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=WAYS, default="clipseg")
    parser.add_argument("--images", type=int, default=len(OBJECTS))
    parser.add_argument("--without", nargs="*", default=[], help="ways to leave out")
    parser.add_argument("--threads", type=int, help="CPU threads (default: as many as there are cores)")
    parser.add_argument("--json", help="file to write the figures to")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    torch.manual_seed(0)
    ways = WAYS[options.model]()
    text = measure(ways.encode)
    print(f"ours, class names, once per vocabulary: {text.cpu:.2f} CPU s, {text.wall:.2f} s")

    names = [name for name in ways.names if name not in options.without]
    results: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(options.images):
        image, objects = random_image(number), OBJECTS[number % len(OBJECTS)]
        for name in names:
            measured = measure(lambda: getattr(ways, name)(image, objects))  # noqa: B023  called at once
            results[name].append(measured)
            print(f"image {number} ({', '.join(objects)}) {name}: {measured.cpu:.2f} CPU s, {measured.wall:.2f} s")
    report(results, text, options.json)


@torch.no_grad()
def measure(work: Callable[[], list[torch.Tensor]]) -> Measured:
    """Runs something once; memory is the process's largest resident size meanwhile, in MB."""
    process, done, largest = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.01):
            largest[0] = max(largest[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    label_maps = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done.set()
    watcher.join()
    return Measured(cpu, wall, largest[0] / 2**20, label_maps)


def report(results: dict[str, list[Measured]], text: Measured, path: str | None) -> None:
    """Prints medians and ratios, and checks that ours and plain agree."""
    figures: dict[str, object] = {"threads": torch.get_num_threads(), "text": {"cpu": text.cpu, "wall": text.wall}}
    for name, measured in results.items():
        figures[name] = {key: spread(getattr(m, key) for m in measured) for key in ("cpu", "wall", "memory")}
        if name != "ours":
            pairs = list(zip(measured, results["ours"]))
            figures[f"{name} / ours"] = {
                key: spread(getattr(a, key) / getattr(b, key) for a, b in pairs) for key in ("cpu", "wall")
            }
    for name in results.keys() & {"plain", "bfloat16"}:
        pairs = [(a, b) for m, n in zip(results["ours"], results[name]) for a, b in zip(m.label_maps, n.label_maps)]
        differing = sum(int((a != b).sum()) for a, b in pairs)
        figures[f"pixels that differ between ours and {name}"] = f"{differing} of {sum(a.numel() for a, _ in pairs)}"
    print("\nmedian (minimum to maximum) per image; CPU and wall in seconds, memory in MB")
    for name, values in figures.items():
        print(f"{name}: {values}")
    if path:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(figures, file, indent=1)


def spread(values: Iterable[float]) -> str:
    """Median with minimum and maximum."""
    values = sorted(values)
    return f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


if __name__ == "__main__":
    main()
