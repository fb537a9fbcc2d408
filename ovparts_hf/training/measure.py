"""Memory and time of a forward and backward pass, measured on the device that trains."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Inputs = Mapping[str, torch.Tensor]


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of tensors on a CPU that are made in its block and still held; `peak` is the most at a time.

    What an operation takes for itself while it runs is not seen.
    """

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}  # views of them are nothing new
        self.held: dict[int, weakref.ref] = {}
        self.bytes = self.peak = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in (result,) if isinstance(result, torch.Tensor) else tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._hold(value.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or key in self.held:
            return

        def release(_: weakref.ref) -> None:
            del self.held[key]
            self.bytes -= size

        self.held[key] = weakref.ref(storage, release)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)


def held_tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters and buffers of a model, and of models that it uses without counting them among its modules."""
    for module in model.modules():
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
        for value in vars(module).values():
            if isinstance(value, nn.Module):
                yield from held_tensors(value)


def peak_bytes(model: nn.Module, inputs: Inputs, autocast: Callable[[], AbstractContextManager[Any]]) -> int:
    """The most memory that a pass takes beyond parameters, buffers and inputs; gradients count."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _pass(model, inputs, autocast)
        return torch.cuda.max_memory_allocated(device) - before
    with PeakMemory(itertools.chain(held_tensors(model), inputs.values())) as memory:
        _pass(model, inputs, autocast)
    return memory.peak


def pass_seconds(model: nn.Module, inputs: Inputs, autocast: Callable[[], AbstractContextManager[Any]]) -> float:
    """Wall-clock seconds of a pass."""
    device = next(model.parameters()).device
    start = time.perf_counter()
    _pass(model, inputs, autocast)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _pass(model: nn.Module, inputs: Inputs, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
    with autocast():
        loss = model(**inputs).loss
    loss.backward()
    model.zero_grad()
