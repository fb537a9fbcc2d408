"""What options of torch gain at full size, and what they cost in accuracy.

Each option runs beside the model as it is, on the same images. The error is counted twice: in pixels of these images,
whose scores come from random weights and lie closer together than those of a trained model; and, for CLIPSeg, as the
change of hIoU on the validation images of the toy world, with the small model that was trained on it.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from benchmark_clipseg import ClipSegWays
from benchmark_measure import count_different, measure, spread
from benchmark_workload import WORKLOADS
from torch import nn

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.models.loading import load_model

_BF16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
IMAGES = 2


@dataclass(frozen=True)
class Option:
    """Another model made of a model, and a context that forward passes run in; by default neither."""

    change: Callable[[nn.Module], nn.Module] = copy.copy
    context: Callable[[str], AbstractContextManager] = lambda kind: nullcontext()
    scored: bool = True  # on the toy world, too


def bfloat16(kind: str) -> AbstractContextManager:
    """Autocast. A CPU without instructions for it would take many times as long: it is left out there."""
    capabilities = torch.cpu.get_capabilities()
    if kind == "cpu" and not any(capabilities.get(flag, False) for flag in _BF16_FLAGS):
        raise RuntimeError("this processor has no bf16 instructions")
    return torch.autocast(kind, torch.bfloat16)


def int8(model: nn.Module) -> nn.Module:
    """Linear layers with weights of 8 bits, and dynamic quantization of what enters them."""
    from torch.ao.quantization import quantize_dynamic

    return quantize_dynamic(copy.deepcopy(model), {nn.Linear}, torch.qint8)


def compiled(model: nn.Module) -> nn.Module:
    """torch.compile, for shapes that change from image to image; it needs a C++ compiler."""
    model = copy.deepcopy(model)
    model.compile(dynamic=True)
    return model


def channels_last(model: nn.Module) -> nn.Module:
    """Convolutions whose channels lie next to each other in memory."""
    return copy.deepcopy(model).to(memory_format=torch.channels_last)


@contextmanager
def medium_precision(kind: str) -> Iterator[None]:
    """bfloat16 or TF32 within matrix products, where the device has it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


COMPILE = "torch.compile"
"""Takes minutes; of the first call only what comes after it is timed."""

OPTIONS = {
    "bfloat16 autocast": Option(context=bfloat16),
    "int8 linear layers": Option(int8),
    COMPILE: Option(compiled, scored=False),
    "channels_last": Option(channels_last),
    'set_float32_matmul_precision("medium")': Option(context=medium_precision),
}


def measure_options(ways_class: type, device: str, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Options with how many times less they take, pixels that differ and the change of hIoU, or why they cannot be."""
    workload = WORKLOADS["pascal"]
    torch.manual_seed(0)
    ways = ways_class(workload, device)
    if hasattr(ways, "encode"):
        with torch.no_grad():
            ways.encode()
    inputs = [(workload.random_image(number), workload.objects[number]) for number in range(IMAGES)]
    for name in names:
        option = OPTIONS[name]
        try:
            figures = _compare(ways, option, inputs)
            if ways_class is ClipSegWays and option.scored:
                figures["change of hIoU"] = _toy_score(option) - _toy_score(Option())
        except Exception as error:  # whatever this machine or version of torch lacks; that it does is the figure
            figures = {"impossible": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
        torch.compiler.reset()
        print(f"{ways_class.__name__}, {name}: {figures}", flush=True)
        yield name, figures


def _compare(ways: Any, option: Option, inputs: list[tuple[Any, Any]]) -> dict[str, Any]:
    kind = torch.device(ways.device).type
    with_option = copy.copy(ways)
    with_option.model = option.change(ways.model)
    gains, maps = [], []
    for number, (image, objects) in enumerate([*inputs, *inputs]):
        before, expected = measure(lambda: ways.ours(image, objects), ways.device)  # noqa: B023  called at once
        with option.context(kind):
            after, label_maps = measure(lambda: with_option.ours(image, objects), ways.device)  # noqa: B023
        if number >= len(inputs):  # the first round compiles, or reorders weights
            gains.append(before.cpu / after.cpu if kind == "cpu" else before.wall / after.wall)
            maps.append((label_maps, expected))
    return {"gain": spread(gains), "different pixels": count_different(maps)}


@cache
def _toy_score(option: Option) -> float:
    """hIoU, in percent, of the trained toy model with an option."""
    model, processor = load_model("toy-trained")
    with option.context("cpu"):
        return evaluate_model(option.change(model), processor, _toy_world()).metrics["hIoU"]


@cache
def _toy_world() -> PartDataset:
    from ovparts_hf.dataset_builders import ToyWorld

    logging.getLogger("datasets").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="toy-world-"))
    return PartDataset.load(write_repository(ToyWorld(), folder / "data", overwrite=True))
