"""How time and memory of a forward pass grow with classes, image size, images and processes.

Each point runs in a process of its own, since the peak of memory is a process's: random weights of full size are made,
and one forward pass is timed. Memory is what it needs beyond the weights, in MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import torch
from benchmark_clipseg import BASE
from benchmark_measure import measure, peak_memory

from ovparts_hf import (
    CATSegConfig,
    CATSegForPartSegmentation,
    CLIPSegForPartSegmentation,
    CLIPSegPartConfig,
    MaskFormerForPartSegmentation,
    MaskFormerPartConfig,
    PartCATSegConfig,
    PartCATSegForPartSegmentation,
    ZSSegConfig,
    ZSSegForPartSegmentation,
)

_DECODED = 10  # of CATSeg's and ZSseg's classes, which all take part in what comes before
POINTS = {
    "clipseg": {"classes": (10, 100, 1000), "side": (176, 352, 704), "images": (1, 2, 4), "processes": (1, 2)},
    "catseg": {"classes": (10, 100, 1000), "images": (1, 2)},
    "partcatseg": {"classes": (10, 100, 1000), "images": (1, 2)},
    "zsseg": {"classes": (10, 100, 1000), "side": (256, 512, 1024)},
    "maskformer": {"side": (256, 512, 1024), "images": (1, 2)},
}
"""Model -> what grows -> how large it is."""


def clipseg(classes: int = 10, side: int = 352, images: int = 1) -> Callable[[], Any]:
    model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**BASE)).eval()
    features, pixels = torch.randn(classes, model.config.projection_dim), torch.randn(images, 3, side, side)
    return lambda: model(pixels, class_features=features, include_none=False)


def catseg(classes: int = 10, images: int = 1) -> Callable[[], Any]:
    model = CATSegForPartSegmentation(CATSegConfig(vision_config={"patch_size": 16})).eval()
    config = model.config
    features = torch.randn(classes, config.num_templates, config.projection_dim)
    pixels = torch.randn(images, 3, config.image_size, config.image_size)
    mask = (torch.arange(classes) < _DECODED).expand(images, -1)
    return lambda: model(pixels, class_features=features, class_mask=mask, include_none=False)


def partcatseg(classes: int = 10, images: int = 1) -> Callable[[], Any]:
    model = PartCATSegForPartSegmentation(PartCATSegConfig(vision_config={"patch_size": 16})).eval()
    config = model.config
    features = torch.randn(classes, 3 * config.num_templates, config.projection_dim)  # no class shares a name
    pixels = torch.randn(images, 3, config.image_size, config.image_size)
    for_dino = torch.randn(images, 3, config.guidance_size, config.guidance_size)
    given = {"class_features": features, "class_mask": (torch.arange(classes) < _DECODED).expand(images, -1)}
    return lambda: model(pixels, backbone_pixel_values=for_dino, **given, include_none=False)


def zsseg(classes: int = 10, side: int = 512) -> Callable[[], Any]:
    model = ZSSegForPartSegmentation(ZSSegConfig(vision_config={"patch_size": 16}, num_queries=50)).eval()
    features, mask = torch.randn(classes, model.config.projection_dim), torch.ones(1, side, side)
    pixels, allowed = torch.randn(1, 3, side, side), (torch.arange(classes) < _DECODED)[None]
    return lambda: model(pixels, class_features=features, object_masks=mask, class_mask=allowed)


def maskformer(side: int = 512, images: int = 1) -> Callable[[], Any]:
    model, pixels = MaskFormerForPartSegmentation(MaskFormerPartConfig()).eval(), torch.randn(images, 3, side, side)
    ids = torch.arange(2)
    return lambda: model(pixels, class_features=ids)


FORWARD = {"clipseg": clipseg, "catseg": catseg, "partcatseg": partcatseg, "zsseg": zsseg, "maskformer": maskformer}


def measure_scaling(model: str, threads: int) -> dict[str, dict[str, dict[str, float]]]:
    """What grows -> how large it is -> CPU and wall seconds and MB; of several processes the longest and the sums."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for axis, values in POINTS[model].items():
        figures[axis] = {}
        for value in values:
            runs = _run(model, axis, value, threads)
            figures[axis][str(value)] = point = {
                "cpu": sum(run["cpu"] for run in runs),
                "wall": max(run["wall"] for run in runs),
                "memory": sum(run["memory"] for run in runs),
            }
            print(f"{model}, {value} {axis}: {point['cpu']:.2f} CPU s, {point['memory']:.0f} MB", flush=True)
    return figures


def _run(model: str, axis: str, value: int, threads: int) -> list[dict[str, float]]:
    count, given = (value, []) if axis == "processes" else (1, [f"{axis}={value}"])
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, model, *given]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # closed by `communicate`
        for _ in range(count)
    ]
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"{' '.join(command)} failed")
    return [json.loads(text.splitlines()[-1]) for text in printed]


def main() -> None:
    """Measures one point, in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=FORWARD)
    parser.add_argument("values", nargs="*", metavar="NAME=NUMBER", help="e.g. classes=100")
    options = parser.parse_args()
    values = {name: int(number) for name, number in (value.split("=") for value in options.values)}
    torch.manual_seed(0)
    work = FORWARD[options.model](**values)
    before = psutil.Process().memory_info().rss / 2**20
    measured, _ = measure(work)
    print(json.dumps({"cpu": measured.cpu, "wall": measured.wall, "memory": peak_memory() - before}))


if __name__ == "__main__":
    main()
