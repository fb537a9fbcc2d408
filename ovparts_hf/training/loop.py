"""The training loop that every model family and every entry point shares."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import send_to_device, set_seed
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.training_set import ResumableBatchSampler
from ..errors import ConfigurationError, OVPartsError
from ..evaluation.evaluator import evaluate_model
from ..taxonomy.tasks import get_task
from .arguments import LoopArguments
from .checkpoints import CheckpointManager, Progress
from .optim import build_optimizer
from .setup import TrainingSetup
from .signals import SignalHandler, TrainingInterrupted, ignore_signals_in_worker, signals_held

logger = logging.getLogger(__name__)


def train(
    arguments: LoopArguments,
    ingredients: TrainingSetup | None = None,
    evaluate: Callable[..., Any] = evaluate_model,
) -> Path:
    """Fine-tunes a model and writes it with its log to `arguments.output`.

    Runs in one process, or in each of several that `accelerate launch` or `torchrun` started. A run that was
    interrupted and resumed ends with the same weights, bit by bit, as one that was not.

    Args:
        arguments: What to do.
        ingredients: Model and data, if they are at hand; None loads what the arguments name.
        evaluate: Called as `evaluate_model` is; its result's `metrics` decide which model is the best.

    Returns:
        The output folder, with `last` (the final model), `best` (the best one evaluated, if any was), `log.jsonl`,
        `arguments.yaml` and `states`.

    Raises:
        OVPartsError: Something given cannot be used (nothing has been written then), or the loss is no longer finite.
        TrainingInterrupted: SIGINT or SIGTERM came; the state is saved.
    """
    folder = CheckpointManager(arguments.output)
    state = folder.check(arguments)
    _check_tracker(arguments.log_with)
    accelerator = Accelerator(mixed_precision=arguments.mixed_precision, log_with=arguments.log_with)
    set_seed(arguments.seed)
    run = _Run(arguments, ingredients or TrainingSetup.load(arguments), accelerator, folder, evaluate)
    run.begin(state)
    with SignalHandler() as stop:
        run.go(stop)
    run.end()
    return folder.path


def _check_tracker(name: str | None) -> None:
    """Accelerate itself goes on without a tracker that is not installed."""
    installed = [str(tracker) for tracker in get_available_trackers()]
    if name is not None and name not in installed:
        raise ConfigurationError(
            f"log_with is {name!r}, but the installed trackers are {installed}. Install it (for trackio: "
            'pip install "ovparts_hf[track]"), or leave log_with out.'
        )


class _Run:
    """One call of `train`: begin, go, end."""

    def __init__(
        self,
        arguments: LoopArguments,
        ingredients: TrainingSetup,
        accelerator: Accelerator,
        folder: CheckpointManager,
        evaluate: Callable[..., Any],
    ) -> None:
        self.arguments = arguments
        self.ingredients = ingredients
        self.accelerator = accelerator
        self.folder = folder
        self.evaluate = evaluate
        self.progress = Progress()
        self.training_set = ingredients.training_set(arguments)
        self.order = ResumableBatchSampler(
            len(self.training_set),
            arguments.batch_size,
            arguments.steps,
            arguments.seed,
            arguments.micro_batch_size,
            accelerator.process_index,
            accelerator.num_processes,
        )
        target = self.training_set.target
        self.words = send_to_device(ingredients.words(target), accelerator.device)
        optimizer, self.schedule = build_optimizer(ingredients.model, arguments)
        self.model, self.optimizer = accelerator.prepare(ingredients.model, optimizer)
        # The schedule is not prepared: accelerate would step it once for every process.
        accelerator.register_for_checkpointing(self.progress, self.schedule)

    def begin(self, state: Path | None) -> None:
        """Restores a state, or seeds the random numbers of the model, and makes the folder ready."""
        set_seed(self.arguments.seed, device_specific=True)
        if state is not None:
            self.accelerator.load_state(str(state))
            self.order.start = self.progress.step
            logger.info("Resuming from step %d", self.progress.step)
        if self.accelerator.is_main_process:
            self.folder.begin(self.arguments, self.progress.step)
        self.accelerator.wait_for_everyone()
        if self.arguments.log_with is not None:
            settings = {name: str(value) for name, value in asdict(self.arguments).items()}
            self.accelerator.init_trackers("ovparts", config=settings)

    def go(self, stop: SignalHandler) -> None:
        """Trains to the last step, or until `stop` notes a signal."""
        arguments, progress = self.arguments, self.progress
        bar = tqdm(
            total=arguments.steps,
            initial=progress.step,
            desc="Training",
            unit="step",
            disable=not self.accelerator.is_main_process,
        )
        with bar, closing(self._batches()) as batches:
            while progress.step < arguments.steps:
                learning_rate = max(self.schedule.get_last_lr())
                loss, gradient_norm = self._step(batches)
                progress.step += 1
                progress.loss_sum += loss
                progress.loss_count += 1
                bar.update()
                if self._due(arguments.log_every):
                    loss = progress.loss_sum / progress.loss_count
                    progress.loss_sum, progress.loss_count = 0.0, 0
                    self._log({"loss": loss, "learning_rate": learning_rate, "gradient_norm": gradient_norm.item()})
                    bar.set_postfix(loss=f"{loss:.4f}")
                if self._due(arguments.eval_every):
                    self._evaluate()
                if self._due(arguments.save_every):
                    self.folder.save_state(self.accelerator, progress.step)
                if self._anywhere(stop.signal_number) and progress.step < arguments.steps:
                    self.folder.save_state(self.accelerator, progress.step)
                    logger.warning("Interrupted after step %d; continue with resume=true", progress.step)
                    raise TrainingInterrupted(stop.signal_number or signal.SIGTERM)

    def end(self) -> None:
        """Saves the final model and state, and closes the trackers."""
        self._save_model("last")
        self.folder.save_state(self.accelerator, self.progress.step)
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _batches(self) -> Iterator[dict[str, torch.Tensor]]:
        """All batches to come; closing this generator ends the loader's workers, whatever still refers to it."""
        loader = DataLoader(
            self.training_set,
            batch_sampler=self.order,
            num_workers=self.arguments.workers,
            worker_init_fn=ignore_signals_in_worker,
            pin_memory=self.accelerator.device.type == "cuda",
            # A generator of its own, so that making an iterator leaves the model's random numbers as they are.
            generator=torch.Generator().manual_seed(self.arguments.seed),
        )
        with signals_held():
            iterator = iter(loader)
        yield from iterator

    def _step(self, batches: Iterator[dict[str, torch.Tensor]]) -> tuple[float, torch.Tensor]:
        """One optimiser step; returns the loss over the whole batch and the gradient norm before clipping."""
        accelerator, count = self.accelerator, self.order.micro_batches_per_step
        pieces = [send_to_device(next(batches), accelerator.device) for _ in range(count)]
        total = torch.zeros((), device=accelerator.device)
        self.model.train()
        for left, piece in zip(reversed(range(count)), pieces):
            with accelerator.no_sync(self.model) if left else nullcontext():
                loss = self.model(**piece, **self.words).loss / count
                accelerator.backward(loss)
            total += loss.detach()
        mean_loss = accelerator.reduce(total, "mean").item()
        if not math.isfinite(mean_loss):
            raise OVPartsError(
                f"The loss became {mean_loss} in step {self.progress.step + 1}. Lower learning_rate, or train with "
                "mixed_precision=no."
            )
        norm = accelerator.clip_grad_norm_(self.model.parameters(), self.arguments.max_grad_norm or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        return mean_loss, norm

    def _evaluate(self) -> None:
        """Scores the model, and saves it as `best` if no earlier one was as good."""
        arguments, accelerator = self.arguments, self.accelerator
        model = accelerator.unwrap_model(self.model).eval()
        task = get_task(arguments.task)
        result = self.evaluate(
            model,
            self.ingredients.processor,
            self.ingredients.eval_dataset,
            task,
            batch_size=arguments.eval_batch_size,
            workers=arguments.workers,
            seed=arguments.seed,
            accelerator=accelerator,
        )
        numbers = {key: value for key, value in result.metrics.items() if isinstance(value, float)}
        self._log({f"eval_{key}": value for key, value in numbers.items()})
        headline = numbers[task.headline]
        if math.isnan(self.progress.best) or headline > self.progress.best:
            self.progress.best = headline
            self._save_model("best")

    def _save_model(self, name: str) -> None:
        with self.ingredients.ready_to_save():
            self.folder.save_model(name, self.accelerator, self.model, self.ingredients.processor)

    def _due(self, every: int) -> bool:
        """Whether something that happens every so many steps, and at the end, happens now."""
        step = self.progress.step
        return every > 0 and (step % every == 0 or step == self.arguments.steps)

    def _anywhere(self, flag: int) -> bool:
        """Whether the flag is set in any process."""
        flags = torch.tensor(float(bool(flag)), device=self.accelerator.device)
        return self.accelerator.reduce(flags, "sum").item() > 0

    def _log(self, values: dict[str, float]) -> None:
        """Appends to the log file and tells the trackers."""
        step = self.progress.step
        if self.accelerator.is_main_process:
            self.folder.log({"step": step, **values})
        self.accelerator.log(values, step=step)
