"""What each of two processes runs for `test_two_processes.py`: trains several times into the folder given."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from ovparts_hf.training import TrainingInterrupted, train
from tests.training.test_loop import StopAt
from tests.training.tiny import Evaluator, arguments, tiny_setup


def main(out: Path) -> None:
    accelerator = Accelerator()
    assert accelerator.num_processes == 2

    for name, options in RUNS.items():
        given = tiny_setup()
        given.model.dropout = nn.Identity()
        train(arguments(out / name, **options), given)

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


RUNS = {
    "plain": {},
    "pieces": {"micro_batch_size": 1},
    "classes": {"classes_per_image": 3, "task": "few_shot"},
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
