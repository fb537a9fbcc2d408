"""How fast this machine is: seconds of a training step, and of scoring an image."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from accelerate.utils import send_to_device
from torch.utils.data import default_collate

from ...data.records import by_image
from ...data.training_set import EpochIndex
from ...evaluation.predictor import Predictor
from ...inference.placement import usable_device
from ...taxonomy.tasks import get_task
from ..arguments import TrainArguments
from ..setup import TrainingSetup

_TIMED = 2
_IMAGES = 4


def seconds_per_step(setup: TrainingSetup, arguments: TrainArguments) -> float:
    """Measures a forward and backward pass, and the preparation of the images; the weights stay as they are.

    Images are prepared by workers while the model computes, so that the slower of the two counts.
    """
    device = usable_device(None)
    training_set, model = setup.training_set(arguments), setup.model.to(device)
    class_inputs = send_to_device(setup.class_inputs(training_set.target), device)
    size = arguments.micro_batch_size or arguments.batch_size
    numbers = iter(range(10**6))

    def prepare() -> dict[str, torch.Tensor]:
        indices = [EpochIndex(0, next(numbers) % len(training_set)) for _ in range(size)]
        return default_collate([training_set[index] for index in indices])

    def compute() -> None:
        model(**send_to_device(batch, device), **class_inputs).loss.backward()
        model.zero_grad()
        if device != "cpu":
            torch.accelerator.synchronize()

    batch = prepare()
    model.train()
    parts = arguments.batch_size / size
    preparing, computing = parts * _seconds(prepare), parts * _seconds(compute)
    return max(computing, preparing / arguments.workers) if arguments.workers else computing + preparing


def seconds_per_image(predictor: Predictor, task: str) -> float:
    """Measures how long it takes to score an image, class names being encoded already."""
    images = by_image(predictor.dataset.evaluation_records(get_task(task)))[:_IMAGES]
    records = [record for image in images for record in image]
    return _seconds(lambda: list(predictor.predict(records)), times=1) / max(1, len(images))


def _seconds(work: Callable[[], object], times: int = _TIMED) -> float:
    """The mean of some runs, after one that is not counted."""
    work()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times
