"""What DeepSpeed's engine is told, and what is refused; DeepSpeed itself needs GPUs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate.utils import DistributedType

from ovparts_hf.data.training_set import ResumableBatchSampler
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training.deepspeed import plan_deepspeed

from .tiny import arguments

GIVEN = arguments(Path("run"), max_grad_norm=0.5)


def engine(kind: DistributedType = DistributedType.DEEPSPEED) -> SimpleNamespace:
    plugin = SimpleNamespace(deepspeed_config={"gradient_accumulation_steps": "auto"})
    return SimpleNamespace(distributed_type=kind, state=SimpleNamespace(deepspeed_plugin=plugin))


def sampler(micro_batch_size: int | None = None) -> ResumableBatchSampler:
    return ResumableBatchSampler(10, 8, 5, 0, micro_batch_size, num_processes=2)


def test_the_engine_knows_batch_and_clipping() -> None:
    accelerator = engine()
    plan_deepspeed(accelerator, GIVEN, sampler(), None)
    assert accelerator.state.deepspeed_plugin.deepspeed_config == {
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 0.5,
    }


def test_without_deepspeed_nothing_is_done() -> None:
    accelerator = engine(DistributedType.MULTI_GPU)
    plan_deepspeed(accelerator, GIVEN, sampler(2), Path("checkpoint"))
    assert accelerator.state.deepspeed_plugin.deepspeed_config == {"gradient_accumulation_steps": "auto"}


def test_micro_batches_and_resuming_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="micro_batch_size is 2 of 4: leave it out"):
        plan_deepspeed(engine(), GIVEN, sampler(2), None)
    with pytest.raises(ConfigurationError, match="cannot be resumed, and step-3 is there"):
        plan_deepspeed(engine(), GIVEN, sampler(), Path("step-3"))
