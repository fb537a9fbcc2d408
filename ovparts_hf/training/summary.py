"""The line that begins the log of a run, and the numbers about speed and memory in the lines that follow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

from .arguments import LoopArguments
from .estimate import Estimate, format_bytes, format_duration

_PRECISIONS = {"no": "float32"}
_WAYS = {DistributedType.FSDP: "FSDP2", DistributedType.DEEPSPEED: "DeepSpeed"}


def describe_run(
    arguments: LoopArguments, model: nn.Module, records: int, estimate: Estimate, accelerator: Accelerator, step: int
) -> str:
    """Device, processes that were started, precision, parameters, records, steps, and the time they will take."""
    processes = accelerator.num_processes
    way = f" ({_WAYS.get(accelerator.distributed_type, 'DDP')})" if processes > 1 else ""
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    precision = _PRECISIONS.get(accelerator.mixed_precision, accelerator.mixed_precision)
    remaining = arguments.steps - step
    return (
        f"Training on {_device_name(accelerator.device)} with {processes} process{'es' if processes > 1 else ''}{way} "
        f"in {precision}: {trained:,} of {total:,} parameters, {records:,} records, {arguments.steps:,} steps of "
        f"{arguments.batch_size}. By a forward and backward pass of {estimate.measured}, {remaining:,} steps take "
        f"about {format_duration(remaining * estimate.seconds_per_step)}, without evaluations, and a process about "
        f"{format_bytes(estimate.total)} of memory."
    )


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


class Meter:
    """Measures how fast a run is and what memory it takes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start = time.perf_counter()
        self.examples, self.seconds = 0, 0.0  # of the steps since the last line of the log

    @contextmanager
    def step(self, examples: int) -> Iterator[None]:
        """A block that computes a step of so many examples, over all processes."""
        start = time.perf_counter()
        yield
        self.examples += examples
        self.seconds += time.perf_counter() - start

    def speed(self) -> dict[str, float]:
        """`images_per_second` of the steps since the last call; evaluations do not count."""
        speed = self.examples / self.seconds
        self.examples, self.seconds = 0, 0.0
        return {"images_per_second": speed}

    def state(self) -> dict[str, float]:
        """`seconds` since the start or the resumption of the run, and `memory_gb` of this process.

        That is the most which was allocated so far on a GPU, and what the process occupies now on a CPU.
        """
        if self.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(self.device)
        else:
            memory = psutil.Process().memory_info().rss
        return {"seconds": time.perf_counter() - self.start, "memory_gb": memory / 1e9}
