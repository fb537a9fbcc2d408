"""Times a training step and its peak memory against the plain formulation, at full size with random weights.

    python examples/benchmark_train.py --models clipseg catseg --images 1 --threads 1 --json train.json

The step is that of the recipe for Pascal-Part-116: the 74 parts of seen objects and "none", the benchmark's trainable
parameters, forward and backward pass. The ways, each in a process of its own, since memory is a process's:

* plain: as the originals do it. CLIPSeg encodes prompts padded to 77 tokens, runs the whole vision tower and repeats
  its activations for each class; CATSeg repeats what classes share for each of them;
* ours: the forward pass of this library, as `ovparts train` runs it;
* checkpointing: the same with `gradient_checkpointing: true`.

Reported are CPU and wall seconds of a step after the first one, the process's largest resident size beyond that before
the first step, and by how much gradients differ from ours: the largest difference within a parameter, relative to the
parameter's largest gradient.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from benchmark_catseg import TEMPLATES, plain_aggregator
from benchmark_clipseg import BASE
from benchmark_measure import peak_memory
from benchmark_workload import TAXONOMY, random_prompts, well_conditioned
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

from ovparts_hf import CATSegConfig, CATSegForPartSegmentation, CLIPSegForPartSegmentation, CLIPSegPartConfig
from ovparts_hf.models.loss import part_segmentation_loss
from ovparts_hf.taxonomy.tasks import get_task

WAYS = ("plain", "ours", "checkpointing")
CLASSES = len(get_task("zero_shot").train_taxonomy(TAXONOMY).part_classes)


class ClipSegSteps:
    """The loss of CLIPSeg on random images, computed in two ways."""

    def __init__(self, images: int) -> None:
        self.model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**BASE))
        self.model.set_trainable("VA+L+F+D")
        self.pixels, self.labels = random_batch(images, 352)
        self.input_ids, self.mask = random_prompts(CLASSES, 4, 7)

    def ours(self) -> torch.Tensor:
        longest = int(self.mask.sum(1).max())
        ids, mask = self.input_ids[:, :longest], self.mask[:, :longest]
        return self.model(self.pixels, input_ids=ids, attention_mask=mask, labels=self.labels).loss

    def plain(self) -> torch.Tensor:
        clip, config = self.model.clip, self.model.config
        text = clip.get_text_features(self.input_ids, attention_mask=self.mask).pooler_output
        rows, images = torch.cat([text, self.model.none_embedding]), len(self.pixels)
        hidden = clip.vision_model(self.pixels, output_hidden_states=True).hidden_states
        activations = [self.model.visual_adapter(hidden[i + 1]) for i in config.extract_layers]
        activations = [states.repeat_interleave(len(rows), 0) for states in activations]
        logits = CLIPSegDecoder.forward(self.model.decoder, activations, rows.repeat(images, 1)).logits
        logits = logits.unflatten(0, (images, len(rows)))
        return part_segmentation_loss(
            logits[:, :-1], logits[:, -1:], self.labels, config.segmentation_loss, config.none_weight
        )


class CatSegSteps:
    """The loss of CATSeg on random images, computed in two ways."""

    def __init__(self, images: int) -> None:
        self.model = CATSegForPartSegmentation(CATSegConfig(vision_config={"patch_size": 16}))
        self.model.aggregator.apply(well_conditioned)
        self.model.set_trainable("B+D")
        self.pixels, self.labels = random_batch(images, 384)
        self.features = F.normalize(torch.randn(CLASSES, TEMPLATES, self.model.config.projection_dim), dim=-1)

    def ours(self) -> torch.Tensor:
        return self.model(self.pixels, class_features=self.features, labels=self.labels).loss

    def plain(self) -> torch.Tensor:
        model, config = self.model, self.model.config
        none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, TEMPLATES, -1)
        rows = torch.cat([self.features, none])
        stages = model.backbone(model._for_backbone(self.pixels, None)).feature_maps
        scores = [
            plain_aggregator(model.aggregator, features, rows, [stage[number : number + 1] for stage in stages])
            for number, features in enumerate(model._encode_images(self.pixels))
        ]
        full = F.interpolate(torch.stack(scores), size=self.labels.shape[-2:], mode="bilinear")
        return part_segmentation_loss(
            full[:, :-1], full[:, -1:], self.labels, config.segmentation_loss, config.none_weight
        )


STEPS = {"clipseg": ClipSegSteps, "catseg": CatSegSteps}


def random_batch(images: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised images (images, 3, side, side), and labels (images, side, side) of which some mean "none"."""
    blocks = torch.randint(0, CLASSES + 1, (images, 1, 8, 8)).float()
    return torch.randn(images, 3, side, side), F.interpolate(blocks, size=(side, side))[:, 0].long()


def run_way(model: str, way: str, images: int, repeats: int, gradients: str) -> dict[str, float]:
    """Runs the steps of one way in this process; saves the gradients to a file."""
    torch.manual_seed(0)
    steps = STEPS[model](images)
    steps.model.train()
    if way == "checkpointing":
        steps.model.activation_checkpointing_enable()
    compute_loss = steps.plain if way == "plain" else steps.ours
    before = psutil.Process().memory_info().rss / 2**20
    compute_loss().backward()
    torch.save({name: p.grad for name, p in steps.model.named_parameters() if p.grad is not None}, gradients)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        steps.model.zero_grad()
        compute_loss().backward()
    cpu, wall = (time.process_time() - cpu) / repeats, (time.perf_counter() - wall) / repeats
    return {"cpu": cpu, "wall": wall, "memory": peak_memory() - before}


def measure_training(model: str, images: int = 1, threads: int = 1, repeats: int = 2) -> dict[str, dict[str, Any]]:
    """Runs each way in a process of its own: way -> CPU and wall seconds, memory in MB, difference of gradients."""
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            given = ["--models", model, "--images", str(images), "--threads", str(threads), "--repeats", str(repeats)]
            command = [sys.executable, __file__, *given, "--way", way, "--gradients", f"{folder}/{way}.pt"]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
            figures[way] = json.loads(printed.splitlines()[-1])
        saved = {way: torch.load(f"{folder}/{way}.pt", weights_only=True) for way in WAYS}
    for way in WAYS:
        figures[way]["gradients_differ_by"] = largest_difference(saved[way], saved["ours"])
    return figures


def largest_difference(gradients: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference within a parameter, relative to its largest gradient, over parameters that have any."""
    scale = max(tensor.abs().max() for tensor in expected.values())
    return max(
        float((gradients.get(name, torch.zeros(())) - tensor).abs().max() / tensor.abs().max().clamp(min=1e-6 * scale))
        for name, tensor in expected.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", choices=STEPS, nargs="+", default=list(STEPS))
    parser.add_argument("--images", type=int, default=1, help="images in a step (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="timed steps of each way (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # in the process of one way
    parser.add_argument("--gradients", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        figures = run_way(options.models[0], options.way, options.images, options.repeats, options.gradients)
        print(json.dumps(figures))
        return
    results = {}
    for model in options.models:
        results[model] = figures = measure_training(model, options.images, options.threads, options.repeats)
        for way, values in figures.items():
            ratios = ", ".join(f"{key} {figures['plain'][key] / values[key]:.2f}" for key in ("cpu", "memory"))
            print(f"{model}, {way}: {values['cpu']:.2f} CPU s, {values['wall']:.2f} s, {values['memory']:.0f} MB, ")
            print(f"    plain / {way}: {ratios}; gradients differ by {values['gradients_differ_by']:.1e}", flush=True)
    if options.json:
        settings = {"images": options.images, "threads": options.threads, "classes": CLASSES}
        options.json.write_text(json.dumps({**settings, **results}, indent=1))


if __name__ == "__main__":
    main()
