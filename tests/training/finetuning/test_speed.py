"""Speeds are measured, and measuring leaves everything as it was."""

import time

import torch

from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.training import TrainArguments
from ovparts_hf.training.finetuning.speed import seconds_per_image, seconds_per_step
from ovparts_hf.training.setup import TrainingSetup


def test_measures_without_a_trace(garden_folder):
    arguments = TrainArguments(
        data=garden_folder, output="out", model="toy", task="supervised", batch_size=4, micro_batch_size=2, workers=0
    )
    setup = TrainingSetup.load(arguments)
    before = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
    begin = time.perf_counter()
    step = seconds_per_step(setup, arguments)
    assert 0 < step < time.perf_counter() - begin
    image = seconds_per_image(Predictor(setup.model, setup.processor, setup.eval_dataset), "supervised")
    assert 0 < image < time.perf_counter() - begin
    assert all(torch.equal(tensor, before[name]) for name, tensor in setup.model.state_dict().items())
    assert all(parameter.grad is None for parameter in setup.model.parameters()) and before
