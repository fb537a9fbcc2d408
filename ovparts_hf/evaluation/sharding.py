"""Parameters that FSDP2 has cut into shards, made whole for an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.distributed.fsdp import FSDPModule


@contextmanager
def whole_parameters(model: nn.Module) -> Iterator[None]:
    """Gives every process all parameters while the block runs; all processes enter it together.

    Sharded ones are gathered for `forward` alone and by all processes at once. An evaluation calls other methods, too,
    and each process as often as its share of the images takes. Without FSDP2 nothing is done.
    """
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in sharded:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        for module in sharded:
            module.reshard()
            module.set_reshard_after_forward(module is not model, recurse=False)  # FSDP2's own defaults
