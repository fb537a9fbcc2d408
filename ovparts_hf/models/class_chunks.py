"""Computing with a few classes at a time in training, and again in the backward pass: less memory for many classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint


class ClassChunks:
    """Mixin of modules that treat each class by itself; with `class_chunk`, so many at once where gradients are kept.

    Each chunk is then a checkpoint: of what it computes, nothing is kept for the backward pass but its input.
    """

    class_chunk: int | None = None

    @property
    def is_chunked(self) -> bool:
        return self.class_chunk is not None and torch.is_grad_enabled() and not torch.compiler.is_compiling()

    def in_chunks(self, function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
        """`function` of chunks of the tensors' rows, one after the other, concatenated."""
        chunks = zip(*(tensor.split(self.class_chunk) for tensor in tensors))
        return torch.cat([checkpoint(function, *chunk, use_reentrant=False) for chunk in chunks])
