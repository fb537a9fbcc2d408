"""Times one model against two plainer ways to the same answer, at full size with random weights.

    python examples/benchmark.py --model clipseg --pictures 5

Three ways, alternating picture by picture in one process, so that a machine that slows down slows all three:

* ours: class names encoded once, one forward pass per picture, only the parts of its objects decoded;
* plain: what the original does for every (picture, object): encode all prompts padded to 77 tokens, run the whole
  vision tower, decode all classes and "none";
* stock: transformers' CLIPSeg as its documentation shows it, one copy of the picture per class.

The workload is like Pascal-Part-116: 116 classes, pictures of 500 x 375 pixels with 1.6 objects on average. Reported
are the median over pictures with minimum and maximum of CPU seconds, wall seconds and peak memory, the ratios picture
by picture, and whether the label maps are equal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import psutil
import torch
from PIL import Image
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

from ovparts_hf import PASCAL_PART_116, CLIPSegForPartSegmentation, CLIPSegPartConfig
from ovparts_hf.processing import PartSegmentationImageProcessor, label_map

TAXONOMY = PASCAL_PART_116
OBJECTS = (["dog"], ["person", "horse"], ["bus", "car"], ["bird"], ["person", "bicycle"])  # 1.6 a picture
BASE = {"vision_config": {"patch_size": 16}, "use_complex_transposed_convolution": True}


@dataclass
class Measured:
    """One way's cost for one picture."""

    cpu: float
    wall: float
    memory: float
    label_maps: list[torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["clipseg"], default="clipseg")
    parser.add_argument("--pictures", type=int, default=len(OBJECTS))
    parser.add_argument("--without", nargs="*", choices=["plain", "stock"], default=[], help="ways to leave out")
    parser.add_argument("--threads", type=int, help="CPU threads (default: as many as there are cores)")
    parser.add_argument("--json", help="file to write the figures to")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    torch.manual_seed(0)
    model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**BASE)).eval()
    model.apply(well_conditioned)
    input_ids, attention_mask = random_prompts(len(TAXONOMY.part_classes))
    longest = int(attention_mask.sum(1).max())
    ways = ClipSegWays(model, input_ids, attention_mask)
    text = measure(lambda: ways.encode(input_ids[:, :longest], attention_mask[:, :longest]))
    print(f"ours, class names, once per vocabulary: {text.cpu:.2f} CPU s, {text.wall:.2f} s")

    names = [name for name in ("ours", "plain", "stock") if name not in options.without]
    results: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(options.pictures):
        picture, objects = random_picture(number), OBJECTS[number % len(OBJECTS)]
        for name in names:
            measured = measure(lambda: getattr(ways, name)(picture, objects))  # noqa: B023  called at once
            results[name].append(measured)
            print(f"picture {number} ({', '.join(objects)}) {name}: {measured.cpu:.2f} CPU s, {measured.wall:.2f} s")
    report(results, text, options.json)


class ClipSegWays:
    """Three ways to the label maps of the objects in a picture."""

    def __init__(self, model: CLIPSegForPartSegmentation, input_ids: torch.Tensor, mask: torch.Tensor) -> None:
        self.model = model
        self.input_ids, self.mask = input_ids, mask
        self.images = PartSegmentationImageProcessor(size={"height": 352, "width": 352})
        self.features = torch.empty(0)

    @cached_property
    def stock_model(self) -> CLIPSegForImageSegmentation:
        """It has no adapter and no "none": its cost is compared, not its answers."""
        return CLIPSegForImageSegmentation(CLIPSegConfig(**BASE)).eval()

    def encode(self, input_ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        self.features = self.model.encode_classes(input_ids, mask)
        return []

    def ours(self, picture: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        candidates = [parts_of(name) for name in objects]
        rows = sum(candidates, [])
        pixels = self.images(images=[picture], return_tensors="pt")["pixel_values"]
        logits = self.model(pixels, class_features=self.features[rows], include_none=False).logits[0]
        position = {part: i for i, part in enumerate(rows)}
        size = picture.size[::-1]
        return [torch.tensor(rows)[label_map(logits, size, [position[p] for p in parts])] for parts in candidates]

    def plain(self, picture: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        return [self._plain_record(picture, parts_of(name)) for name in objects]

    def _plain_record(self, picture: Image.Image, candidates: list[int]) -> torch.Tensor:
        clip, config = self.model.clip, self.model.config
        pixels = self.images(images=[picture], return_tensors="pt")["pixel_values"]
        text = clip.get_text_features(self.input_ids, attention_mask=self.mask).pooler_output
        rows = torch.cat([text, self.model.none_embedding])
        hidden = clip.vision_model(pixels, output_hidden_states=True).hidden_states
        activations = [self.model.visual_adapter(hidden[i + 1]) for i in config.extract_layers]
        activations = [states.expand(len(rows), -1, -1) for states in activations]
        logits = CLIPSegDecoder.forward(self.model.decoder, activations, rows).logits[None, :-1]
        scores = torch.nn.functional.interpolate(logits, size=picture.size[::-1], mode="bilinear")[0].sigmoid()
        scores[[i for i in range(len(scores)) if i not in candidates]] = 0
        return scores.argmax(0)

    def stock(self, picture: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        pixels = self.images(images=[picture] * len(self.input_ids), return_tensors="pt")["pixel_values"]
        logits = self.stock_model(self.input_ids, pixels, attention_mask=self.mask).logits
        size = picture.size[::-1]
        return [label_map(logits, size, parts_of(name)) for name in objects]


def parts_of(name: str) -> list[int]:
    """Part ids of an object."""
    return list(TAXONOMY.parts_of(TAXONOMY.object_classes.index(name)))


def well_conditioned(module: torch.nn.Module) -> None:
    """PyTorch's own initialisation: scores then differ between classes by far more than rounding."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def random_prompts(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of 4 to 7 tokens, padded to 77 with the end-of-text token as CLIP pads."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.full((count, 77), 49407)
    mask = torch.zeros_like(ids)
    for row in range(count):
        length = int(torch.randint(4, 8, (), generator=generator))
        ids[row, 1 : length - 1] = torch.randint(0, 49406, (length - 2,), generator=generator)
        ids[row, 0], mask[row, :length] = 49406, 1
    return ids, mask


def random_picture(seed: int) -> Image.Image:
    """A picture of 500 x 375 pixels with some structure."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)


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
    if "plain" in results:
        pairs = [(a, b) for m, n in zip(results["ours"], results["plain"]) for a, b in zip(m.label_maps, n.label_maps)]
        differing = sum(int((a != b).sum()) for a, b in pairs)
        figures["pixels that differ between ours and plain"] = f"{differing} of {sum(a.numel() for a, _ in pairs)}"
    print("\nmedian (minimum to maximum) per picture; CPU and wall in seconds, memory in MB")
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
