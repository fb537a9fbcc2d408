"""Training with DeepSpeed, whose engine clips gradients and steps within the backward pass."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import DistributedType

from ..data.training_set import ResumableBatchSampler
from ..errors import ConfigurationError
from .arguments import LoopArguments


def plan_deepspeed(
    accelerator: Accelerator, arguments: LoopArguments, sampler: ResumableBatchSampler, checkpoint: Path | None
) -> None:
    """Tells DeepSpeed what its engine has to know, and refuses what it cannot do; to be called before `prepare`."""
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        return
    if checkpoint is not None:
        raise ConfigurationError(
            f"A run with DeepSpeed cannot be resumed, and {checkpoint} is there: resume it with FSDP2 or DDP, or start "
            "anew with overwrite=true."
        )
    if sampler.micro_batches_per_step > 1:
        raise ConfigurationError(
            f"With DeepSpeed each process takes its share of a batch in one pass, and micro_batch_size is "
            f"{sampler.micro_batch_size} of {sampler.share}: leave it out, or train with FSDP2 or DDP."
        )
    config = accelerator.state.deepspeed_plugin.deepspeed_config
    config["train_micro_batch_size_per_gpu"] = sampler.micro_batch_size
    config["gradient_accumulation_steps"] = 1
    config["gradient_clipping"] = arguments.max_grad_norm  # 0: none
