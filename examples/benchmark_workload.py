"""What is timed: random images, objects and prompts like those of the benchmark's two datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ovparts_hf import ADE20K_PART_234, PASCAL_PART_116
from ovparts_hf.taxonomy.part_taxonomy import PartTaxonomy

TAXONOMY = PASCAL_PART_116


@dataclass(frozen=True)
class Workload:
    """Images of one dataset's kind: its classes, and for each image the objects whose parts are sought."""

    name: str
    taxonomy: PartTaxonomy
    objects: Sequence[Sequence[str]]
    size: tuple[int, int]  # width, height
    images: int  # that are timed by default
    plain_objects: int  # of an image; the plain way, which treats one after the other, is timed on so many of them

    def parts_of(self, name: str) -> list[int]:
        """Part ids of an object."""
        return list(self.taxonomy.parts_of(self.taxonomy.object_classes.index(name)))

    def random_image(self, seed: int) -> Image.Image:
        """An image with some structure."""
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize(self.size, Image.Resampling.BICUBIC)


WORKLOADS = {
    "pascal": Workload(
        "pascal",
        PASCAL_PART_116,
        (["dog"], ["person", "horse"], ["bus", "car"], ["bird"], ["person", "bicycle"]),  # 1.6 an image
        (500, 375),
        images=2,
        plain_objects=2,
    ),
    "ade": Workload(
        "ade",
        ADE20K_PART_234,
        (
            ["person", "person", "car", "car", "bus", "traffic light", "door", "bench"],
            ["bed", "lamp", "lamp", "armchair", "cabinet", "table", "door", "shelf"],
        ),
        (683, 512),
        images=1,
        plain_objects=1,
    ),
}


def well_conditioned(module: torch.nn.Module) -> None:
    """PyTorch's own initialisation: scores then differ between classes by far more than rounding."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def random_prompts(count: int, shortest: int, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of so many prompts, padded to 77 with the end-of-text token as CLIP pads, and their mask."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.full((count, 77), 49407)
    mask = torch.zeros_like(ids)
    for row in range(count):
        length = int(torch.randint(shortest, longest + 1, (), generator=generator))
        ids[row, 1 : length - 1] = torch.randint(0, 49406, (length - 2,), generator=generator)
        ids[row, 0], mask[row, :length] = 49406, 1
    return ids, mask
