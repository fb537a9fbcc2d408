"""What is timed: random images, objects and prompts like those of Pascal-Part-116."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from ovparts_hf import PASCAL_PART_116

TAXONOMY = PASCAL_PART_116
OBJECTS = (["dog"], ["person", "horse"], ["bus", "car"], ["bird"], ["person", "bicycle"])  # 1.6 an image


def parts_of(name: str) -> list[int]:
    """Part ids of an object."""
    return list(TAXONOMY.parts_of(TAXONOMY.object_classes.index(name)))


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


def random_image(seed: int) -> Image.Image:
    """An image of 500 x 375 pixels with some structure."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
