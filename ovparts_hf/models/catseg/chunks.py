"""Classes that do not see each other go through a layer in groups."""

from __future__ import annotations

import torch

NUMBERS_AT_ONCE = {"cpu": 600_000, "cuda": 20_000_000}
"""Size of a group's input: what fits a CPU's cache, or keeps a GPU busy."""


def class_chunks(volume: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Cuts (classes, ...) into groups."""
    limit = NUMBERS_AT_ONCE.get(volume.device.type, NUMBERS_AT_ONCE["cuda"])
    return volume.split(max(1, limit // volume.shape[1:].numel()))
