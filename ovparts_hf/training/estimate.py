"""What a run needs of the machine: memory, and time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, send_to_device
from torch import nn
from torch.utils.data import default_collate

from .arguments import LoopArguments
from .measure import Inputs, held_tensors, pass_seconds, peak_bytes

_STATES = {"adamw": 2, "sgd": 1}  # numbers that an optimiser keeps for each parameter
_MOST_IMAGES = 2  # of a measured pass


@dataclass(frozen=True)
class Estimate:
    """What each process of a run takes. Evaluations, reading images and the optimiser's own step are left out.

    Attributes:
        parameters: Bytes of parameters and buffers.
        gradients: Bytes of gradients; twice as many where several processes send them from buckets of their own.
        optimizer: Bytes of the optimiser's state.
        activations: Bytes that forward and backward pass of `images` hold beyond gradients, at most.
        activations_per_image: Bytes of each image after the first.
        seconds_per_step: Wall-clock seconds of the forward and backward passes of a step.
        steps: Steps of the run.
        images: Images (in prompt tuning: regions) in a forward pass.
        measured: Images in the largest pass that was measured; the rest is extrapolated.
        device: "cpu" or "cuda".
        processes: Processes that share the memory of the device.
        device_memory: Bytes that the device has; on a CPU those that are available, beside the loaded parameters.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    activations_per_image: int
    seconds_per_step: float
    steps: int
    images: int
    measured: int
    device: str
    processes: int
    device_memory: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.parameters + self.gradients + self.optimizer + self.activations

    @property
    def needed(self) -> int:
        """Bytes of `device_memory`."""
        loaded = self.parameters if self.device == "cpu" else 0
        return (self.total - loaded) * self.processes

    def table(self) -> str:
        """The estimate in words."""
        rows = {
            "parameters and buffers": self.parameters,
            "gradients": self.gradients,
            "optimiser": self.optimizer,
            f"activations, {self.images} at once": self.activations,
            "in all": self.total,
        }
        lines = [f"Memory of each process on {self.device}:"]
        lines += [f"  {name:26} {format_bytes(size):>9}" for name, size in rows.items()]
        duration = format_duration(self.seconds_per_step * self.steps)
        lines.append(f"Time: {self.seconds_per_step:.3g} s for a step, {duration} for {self.steps:,}.")
        lines.append(
            f"A forward and backward pass of {self.measured} was measured and extrapolated; evaluations, reading "
            "images and the optimiser's own time are left out."
        )
        return "\n".join(lines)

    def warning(self) -> str | None:
        """What to say if the device is too small."""
        if self.needed <= self.device_memory:
            return None
        who = "This run" if self.processes == 1 else f"This run of {self.processes} processes"
        return (
            f"{who} needs about {format_bytes(self.needed)} of memory, and {self.device} has "
            f"{format_bytes(self.device_memory)}. Set micro_batch_size (now {self.images}), "
            "gradient_checkpointing=true, class_chunk or classes_per_image."
        )


def estimate_step(
    model: nn.Module,
    arguments: LoopArguments,
    examples: Callable[[int], Sequence[Inputs]],
    class_inputs: Inputs,
    accelerator: Accelerator,
) -> Estimate:
    """Measures passes of one and two examples on a copy of a model that has not been prepared, and extrapolates.

    The run itself is not touched: neither gradients and buffers of the model nor, in what follows seeding, its random
    numbers.
    """
    processes = accelerator.num_processes
    share = max(1, arguments.batch_size // processes)
    images = arguments.micro_batch_size or share
    measured = min(images, _MOST_IMAGES)
    trained = copy.deepcopy(model).to(accelerator.device).train()
    vars(trained).pop("forward", None)  # one that was put on the instance computes with the original
    for module in trained.modules():
        module._forward_hooks.clear()  # whoever watches the run is not to see these passes
    batches = [
        send_to_device({**default_collate(examples(count)), **class_inputs}, accelerator.device)
        for count in range(1, measured + 1)
    ]
    peaks = [peak_bytes(trained, batch, accelerator.autocast) for batch in batches]
    seconds = pass_seconds(trained, batches[-1], accelerator.autocast)
    per_image = max(0, peaks[-1] - peaks[0])

    parameters, gradients = _bytes(held_tensors(trained)), _bytes(p for p in trained.parameters() if p.requires_grad)
    shards = processes if accelerator.distributed_type == DistributedType.FSDP else 1
    copies = 2 if processes > 1 and shards == 1 else 1  # DDP sends gradients from buckets of their own
    on_cpu = accelerator.device.type == "cpu"
    return Estimate(
        parameters=parameters // shards,
        gradients=copies * gradients // shards,
        optimizer=_STATES[arguments.optimizer] * gradients // shards,
        activations=max(0, peaks[0] - gradients) + per_image * (images - 1),
        activations_per_image=per_image,
        seconds_per_step=seconds / measured * share,
        steps=arguments.steps,
        images=images,
        measured=measured,
        device=accelerator.device.type,
        processes=processes if on_cpu else 1,
        device_memory=_device_memory(accelerator.device),
    )


def format_duration(seconds: float) -> str:
    """Such as "2 h 5 min", "3 min" or "12 s"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def format_bytes(size: float) -> str:
    """Such as "3.21 GB", "45 MB" or "6 kB"."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _device_memory(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else psutil.virtual_memory().available
