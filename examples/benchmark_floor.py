"""The floor under a model's time: its matrix products alone, at the rate at which this machine multiplies matrices.

A first forward pass is watched for every matrix product, convolution and attention that it performs. Matrix products of
the same shapes, and nothing else, are then timed in the same run: what a forward pass takes beyond their time went into
everything between the products.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_LEAST_SHARE = 0.01
"""Shapes with a smaller share of the arithmetic are not timed, but counted at the rate of the others."""
_SHORTEST = 0.02
"""Seconds for which each shape is multiplied."""


class Product(NamedTuple):
    """`batch` products of (m, k) and (k, n) matrices."""

    batch: int
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        return 2 * math.prod(self)


class Floor(NamedTuple):
    """What the products of a forward pass cost on this machine."""

    seconds: float
    flops: float
    flops_per_second: float


class ProductCounter(TorchDispatchMode):
    """Notes the shapes of all matrix products while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.counts.update(_products(func, args, result))
        return result


def _products(func: Any, args: Any, result: Any) -> list[Product]:
    """The products within one operation; transposed convolutions are taken to have one group."""
    aten = torch.ops.aten
    packet = getattr(func, "overloadpacket", None)
    if packet in (aten.mm, aten.addmm, aten.bmm, aten.baddbmm):
        left, right = args[1:3] if packet in (aten.addmm, aten.baddbmm) else args[:2]
        return [Product(left.shape[0] if left.dim() == 3 else 1, *left.shape[-2:], right.shape[-1])]
    if packet is aten.convolution:
        kernel, transposed, groups = args[1], args[6], args[8]
        maps = args[0] if transposed else result
        inner, outer = (len(kernel), kernel[0].numel()) if transposed else (kernel[0].numel(), len(kernel) // groups)
        return [Product(groups, maps.shape[0] * maps.shape[2] * maps.shape[3], inner, outer)]
    if packet is not None and "scaled_dot_product" in packet.__name__ and "backward" not in packet.__name__:
        query, key, value = args[:3]
        batch = query.shape[0] * query.shape[1]
        lengths = query.shape[2], key.shape[2]
        return [Product(batch, lengths[0], query.shape[3], lengths[1]), Product(batch, *lengths, value.shape[3])]
    return []


@torch.no_grad()
def count_products(work: Callable[[], Any]) -> Counter[Product]:
    """The products that a call performs."""
    counter = ProductCounter()
    with counter:
        work()
    return counter.counts


def measure_floor(counts: Counter[Product], device: torch.device | str = "cpu") -> Floor:
    """Times products of these shapes, the fastest of several repetitions each."""
    total = sum(product.flops * count for product, count in counts.items())
    timed_flops = seconds = 0.0
    for product, count in counts.items():
        if product.flops * count >= _LEAST_SHARE * total:
            seconds += count * _fastest(product, device)
            timed_flops += count * product.flops
    rate = timed_flops / seconds
    return Floor(total / rate, total, rate)


def _fastest(product: Product, device: torch.device | str) -> float:
    left = torch.randn(product.batch, product.m, product.k, device=device)
    # As a linear layer holds its weight.
    right = torch.randn(product.batch, product.n, product.k, device=device).transpose(1, 2)
    if product.batch == 1:
        left, right = left[0], right[0]
    fastest, started = math.inf, time.perf_counter()
    while fastest == math.inf or time.perf_counter() - started < _SHORTEST:
        before = clock(device)
        torch.matmul(left, right)
        fastest = min(fastest, clock(device) - before)
    return fastest


def clock(device: torch.device | str) -> float:
    """CPU seconds of this process; on an accelerator seconds, once all its work is done."""
    if torch.device(device).type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()
