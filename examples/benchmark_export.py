"""Seconds an image of exported models beside the model that they were made from, in one run; docs/export.md.

python examples/benchmark_export.py toy-trained outputs/export/onnx outputs/export/openvino
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from ovparts_hf import PartSegmenter
from ovparts_hf.toy.world import draw

PARTS = {"duck": ["head", "beak", "torso", "wing", "tail"]}


def main() -> None:
    """Runs the models in turns, so that what else the machine does falls on all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="folders or names")
    parser.add_argument("--images", type=int, default=30, help="drawn images (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each runtime (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = [draw("validation", number).image for number in range(options.images)]
    segmenters = {name: PartSegmenter.from_pretrained(name, "cpu") for name in options.models}
    seconds: dict[str, list[float]] = {name: [] for name in options.models}
    for image in [images[0], *images]:  # the first is a warm-up
        for name, segmenter in segmenters.items():
            start = time.perf_counter()
            segmenter(image, PARTS)
            seconds[name].append(time.perf_counter() - start)
    print("| model | MB | ms an image |\n| --- | ---: | ---: |")
    for name, values in seconds.items():
        files = [
            file for file in Path(name).glob("*") if file.suffix in (".safetensors", ".onnx", ".data", ".xml", ".bin")
        ]
        size = f"{sum(file.stat().st_size for file in files) / 1e6:.1f}" if files else ""
        print(f"| {name} | {size} | {1000 * statistics.median(values[1:]):.1f} |")


if __name__ == "__main__":
    main()
