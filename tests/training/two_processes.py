"""Runs that two processes share, and how they are started: as `torchrun` does, but as copies of the running process."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import nn

from ovparts_hf.training import TrainingInterrupted, train

from .test_loop import StopAt
from .tiny import Evaluator, arguments, tiny_setup

RUNS = {
    "plain": {},
    "accumulated": {"micro_batch_size": 1},
    "classes": {"classes_per_image": 3, "task": "few_shot"},
}


def train_all(out: Path) -> None:
    """Trains each of `RUNS`, a run with evaluations ("whole"), and the latter with an interruption ("parts")."""
    for name, options in RUNS.items():
        setup = tiny_setup()
        setup.model.dropout = nn.Identity()
        train(arguments(out / name, **options), setup)

    accelerator = Accelerator()  # after `train`, which is to find out by itself that there are two
    assert accelerator.num_processes == 2
    options = {"eval_every": 3, "log_every": 3}
    train(arguments(out / "whole", **options), tiny_setup(), Evaluator())
    # The signal reaches one process only.
    evaluate = StopAt(1 if accelerator.process_index == 1 else -1)
    try:
        train(arguments(out / "parts", **options), tiny_setup(), evaluate)
        raise AssertionError("not interrupted")
    except TrainingInterrupted as interruption:
        assert interruption.code == 143
    torch.manual_seed(99)
    train(arguments(out / "parts", resume=True, **options), tiny_setup(), Evaluator(scores=(20.0, 40.0)))
    accelerator.wait_for_everyone()
    accelerator.end_training()


def use_fsdp2(wrap: str = "no_wrap") -> None:
    """Lets this process and the other shard what they prepare; by itself, accelerate does that on GPUs alone."""
    state = Accelerator().state
    for each in (PartialState(), state):
        each.distributed_type = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy=wrap)


def run_in_two_processes(function: Callable[[Path], None], out: Path, timeout: float = 120) -> None:
    """Calls a function in two processes that accelerate takes for those of one launch on CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What has used CUDA cannot be forked.
    context = multiprocessing.get_context("spawn" if torch.cuda.is_initialized() else "fork")
    processes = [context.Process(target=_run, args=(function, out, rank, port), daemon=True) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0, 0], f"The processes ended with {codes}; see above for their errors."


def _run(function: Callable[[Path], None], out: Path, rank: int, port: int) -> None:
    os.environ |= {
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": "lo",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)
    function(out)
