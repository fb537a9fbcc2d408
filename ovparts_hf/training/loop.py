"""The training loop that every model family and every entry point shares."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import LoggerType, ProjectConfiguration, send_to_device, set_seed
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.training_set import EpochIndex, ResumableBatchSampler, TrainingSet
from ..errors import ConfigurationError, OVPartsError
from ..evaluation.evaluator import evaluate_model
from ..taxonomy.tasks import get_task
from ..utils.files import public_name
from ..utils.precision import new_accelerator, usable_precision
from ..utils.suggest import did_you_mean
from .arguments import LoopArguments
from .checkpoints import CheckpointManager, TrainState
from .deepspeed import plan_deepspeed
from .estimate import estimate_step
from .optim import build_optimizer
from .restore import restore
from .samples import draw_samples, save_picture
from .setup import Setup, TrainingSetup
from .sharding import plan_shards
from .signals import SignalHandler, TrainingInterrupted, ignore_signals_in_worker, signals_held
from .summary import Meter, describe_run
from .threads import cpu_threads

logger = logging.getLogger(__name__)


def train(arguments: LoopArguments, setup: Setup | None = None, evaluate: Callable[..., Any] = evaluate_model) -> Path:
    """Fine-tunes a model and writes it with its log to `arguments.output`.

    Runs in one process, or in each of several that `accelerate launch` or `torchrun` started. A run that was
    interrupted and resumed ends with the same weights, bit by bit, as one that was not.

    Args:
        arguments: The settings of the run.
        setup: Model and data that have been loaded already; None loads what the arguments name.
        evaluate: Takes what `evaluate_model` takes; the `metrics` of its result decide which model is the best.

    Returns:
        The output folder, with `last` (the final model), `best` (the best one evaluated, if any was), `log.jsonl`,
        `arguments.yaml` and `checkpoints`.

    Raises:
        OVPartsError: Some argument cannot be used, or another process writes to the same folder (then nothing has been
            written), or loss, gradient or weights are no longer finite.
        TrainingInterrupted: SIGINT or SIGTERM was received; a checkpoint is saved.
    """
    folder = CheckpointManager(arguments.output)
    _check_tracker(arguments.log_with)
    precision = usable_precision(arguments.mixed_precision)
    places = ProjectConfiguration(logging_dir=str(folder.trackers))
    accelerator = new_accelerator(precision, log_with=arguments.log_with, project_config=places)
    lock = folder.lock() if accelerator.is_main_process else nullcontext()
    with lock, cpu_threads(arguments.threads):
        checkpoint = folder.check(arguments)
        set_seed(arguments.seed)
        run = _Run(arguments, setup or TrainingSetup.load(arguments), accelerator, folder, evaluate, checkpoint)
        run.start()
        with SignalHandler() as signals:
            run.train(signals)
        run.finish()
    return folder.path


def _check_tracker(name: str | None) -> None:
    """Refuses a tracker that is not installed, which accelerate itself would ignore."""
    installed = [str(tracker) for tracker in get_available_trackers()]
    if name is not None and name not in installed:
        raise ConfigurationError(
            f"log_with is {name!r}, but the installed trackers are {installed}. Install it (for trackio: "
            'pip install "ovparts_hf[track]"), or leave log_with out.'
            f"{did_you_mean(name, (known.value for known in LoggerType))}"
        )


@dataclass
class _Run:
    """One call of `train`: `start`, `train` and `finish`, in this order."""

    arguments: LoopArguments
    setup: Setup
    accelerator: Accelerator
    folder: CheckpointManager
    evaluate: Callable[..., Any]
    checkpoint: Path | None  # to resume from

    def __post_init__(self) -> None:
        arguments, setup, accelerator = self.arguments, self.setup, self.accelerator
        self.state = TrainState()
        self.last_step = arguments.steps  # an earlier one, once there is a reason to stop
        self._measured_until = time.monotonic()
        self.training_set = setup.training_set(arguments)
        self.batch_sampler = ResumableBatchSampler(
            len(self.training_set),
            arguments.batch_size,
            arguments.steps,
            arguments.seed,
            arguments.micro_batch_size,
            accelerator.process_index,
            accelerator.num_processes,
        )
        self.class_inputs = send_to_device(setup.class_inputs(self.training_set.target), accelerator.device)
        optimizer, self.schedule = build_optimizer(setup.model, arguments)
        plan_deepspeed(accelerator, arguments, self.batch_sampler, self.checkpoint)
        plan_shards(accelerator, setup.model)
        examples = partial(setup.random_examples, arguments)
        self.estimate = estimate_step(setup.model, arguments, examples, self.class_inputs, accelerator)
        self.model, self.optimizer = accelerator.prepare(setup.model, optimizer)
        # The schedule is not prepared: accelerate would step it once for every process.

    def start(self) -> None:
        """Seeds the model's random numbers, restores a checkpoint if there is one, and prepares the folder."""
        set_seed(self.arguments.seed, device_specific=True)
        if self.checkpoint is not None:
            progress = {"state": self.state, "schedule": self.schedule}
            restore(self.checkpoint, self.accelerator, self.model, self.optimizer, progress)
            self.batch_sampler.start = self.state.step
            logger.info("Resuming from step %d", self.state.step)
        self.accelerator.wait_for_everyone()  # until each has seen the folder as it was
        if self.accelerator.is_main_process:
            self.folder.start(self.arguments, self.state.step, self.state.evaluated)
        self.accelerator.wait_for_everyone()
        if self.arguments.log_with is not None:
            settings = {name: public_name(str(value)) for name, value in asdict(self.arguments).items()}
            self.accelerator.init_trackers("ovparts", config=settings)
        self._describe()
        self.meter = Meter(self.accelerator.device)

    def _describe(self) -> None:
        """Begins the log, and warns of a device that is too small."""
        if not self.accelerator.is_main_process:
            return
        model = self.accelerator.unwrap_model(self.model)
        count, step = len(self.training_set), self.state.step
        logger.info(describe_run(self.arguments, model, count, self.estimate, self.accelerator, step))
        warning = self.estimate.warning()
        if warning is not None:
            logger.warning(warning)

    def train(self, signals: SignalHandler) -> None:
        """Trains to the last step, or until a signal has been received."""
        arguments, state = self.arguments, self.state
        bar = tqdm(
            total=arguments.steps,
            initial=state.step,
            desc="Training",
            unit="step",
            disable=not self.accelerator.is_main_process,
        )
        with bar, closing(self._batches()) as batches:
            self._stop_early_if_due()  # if the run had ended so
            self._evaluate_if_due()  # if the run ended in an evaluation
            self._stop_early_if_due()
            while state.step < self.last_step:
                learning_rate = max(self.schedule.get_last_lr())
                with self.meter.step(arguments.batch_size):
                    loss, gradient_norm = self._step(batches)
                state.step += 1
                state.loss_sum += loss
                state.loss_count += 1
                bar.update()
                self._stop_early_if_due()
                if self._due(arguments.log_every):
                    loss = state.loss_sum / state.loss_count
                    state.loss_sum, state.loss_count = 0.0, 0
                    numbers = {"loss": loss, "learning_rate": learning_rate, "gradient_norm": gradient_norm.item()}
                    self._log({**numbers, **self.meter.speed()})
                    bar.set_postfix(loss=f"{loss:.4f}")
                self._evaluate_if_due()
                self._stop_early_if_due()
                if self._due(arguments.save_every):
                    self._save_checkpoint()
                if self._in_any_process(signals.signal_number) and state.step < self.last_step:
                    self._save_checkpoint()
                    logger.warning("Interrupted after step %d; continue with resume=true", state.step)
                    raise TrainingInterrupted(signals.signal_number or signal.SIGTERM)

    def finish(self) -> None:
        """Saves the final model and a checkpoint, and closes the trackers."""
        self._save_model("last")
        self._save_checkpoint()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _batches(self) -> Iterator[dict[str, torch.Tensor]]:
        """The remaining micro-batches; closing this generator ends the workers, whatever still refers to the loader."""
        loader = DataLoader(
            self.training_set,
            batch_sampler=self.batch_sampler,
            num_workers=self.arguments.workers,
            worker_init_fn=ignore_signals_in_worker,
            pin_memory=self.accelerator.device.type == "cuda",
            # Its own generator, so that creating an iterator does not change the model's random numbers.
            generator=torch.Generator().manual_seed(self.arguments.seed),
        )
        with signals_held():
            iterator = iter(loader)
        yield from iterator

    def _step(self, batches: Iterator[dict[str, torch.Tensor]]) -> tuple[float, torch.Tensor]:
        """One optimiser step; returns the loss over the whole batch and the gradient norm before clipping."""
        accelerator, count = self.accelerator, self.batch_sampler.micro_batches_per_step
        micro_batches = [send_to_device(next(batches), accelerator.device) for _ in range(count)]
        total = torch.zeros((), device=accelerator.device)
        self.model.train()
        for remaining, micro_batch in zip(reversed(range(count)), micro_batches):
            with accelerator.no_sync(self.model) if remaining else nullcontext():
                loss = self.model(**micro_batch, **self.class_inputs).loss / count
                accelerator.backward(loss)
            total += loss.detach()
        mean_loss = accelerator.reduce(total, "mean").item()
        if not math.isfinite(mean_loss):
            raise self._not_finite(f"The loss became {mean_loss}")
        norm = accelerator.clip_grad_norm_(self.model.parameters(), self.arguments.max_grad_norm or math.inf)
        norm = torch.as_tensor(0.0 if norm is None else norm)  # DeepSpeed gives a number, or none
        if accelerator.scaler is None and not norm.isfinite():
            raise self._not_finite(f"The gradient norm became {norm.item()}")
        self.optimizer.step()
        self.optimizer.zero_grad()
        if not self.optimizer.step_was_skipped:
            self.schedule.step()
        elif accelerator.scaler.get_scale() < 1:  # smaller scales help against overflow, not against NaN
            raise self._not_finite("The gradients do not become finite at any scale of fp16")
        return mean_loss, norm

    def _not_finite(self, what: str) -> OVPartsError:
        """The error that stops a run before its weights are lost; names the examples of the step."""
        whole_batch = {"process": 0, "num_processes": 1, "micro_batch_size": None, "start": self.state.step}
        examples = [self._example_name(index) for index in next(iter(replace(self.batch_sampler, **whole_batch)))]
        return OVPartsError(
            f"{what} in step {self.state.step + 1}, and nothing of that step is kept. Its examples: "
            f"{', '.join(examples)}. Lower learning_rate, or train with mixed_precision=no."
        )

    def _example_name(self, index: EpochIndex) -> str:
        """The image of an example, and the object in it."""
        if not isinstance(self.training_set, TrainingSet):
            return str(index.index)
        record = self.training_set.drawn_record(index)
        name = self.training_set.dataset.read(record).image_id
        if record.object_id is None:
            return name
        return f"{name} ({self.training_set.dataset.taxonomy.object_classes[record.object_id]})"

    def _check_weights(self) -> None:
        """Keeps weights or an optimiser that are no longer finite from replacing what was saved before."""
        values = {
            f"optimizer.{i}.{name}": value
            for i, state in self.optimizer.state_dict().get("state", {}).items()  # DeepSpeed's has no such entry
            for name, value in state.items()
        }
        for name, value in {**self.model.state_dict(), **values}.items():
            if torch.is_tensor(value) and not value.isfinite().all():
                raise OVPartsError(
                    f"{name} is no longer finite after step {self.state.step}, so nothing is saved; what was saved "
                    "before is as it was. Start anew with a lower learning_rate, or with mixed_precision=no."
                )

    def _stop_early_if_due(self) -> None:
        """Makes this step the last one if evaluations no longer improve, or if the time is up."""
        arguments, state = self.arguments, self.state
        reason = None
        if arguments.patience is not None and state.without_gain >= arguments.patience:
            reason = f"{state.without_gain} evaluations did not improve"
        if arguments.time_limit is not None:
            now = time.monotonic()
            state.seconds, self._measured_until = state.seconds + now - self._measured_until, now
            if self._in_any_process(state.seconds >= arguments.time_limit):
                reason = f"the time limit of {arguments.time_limit:g} seconds is reached"
        if reason is not None and 0 < state.step < self.last_step:
            self.last_step = state.step
            logger.info("Training ends after step %d of %d: %s.", state.step, arguments.steps, reason)

    def _evaluate_if_due(self) -> None:
        """Evaluates once, if it is time, after saving what a failing evaluation would lose."""
        if self.state.evaluated == self.state.step or not self._due(self.arguments.eval_every):
            return
        self._save_checkpoint()
        if self.state.step == self.last_step:
            self._save_model("last")
        self._evaluate()
        self.state.evaluated = self.state.step

    def _evaluate(self) -> None:
        """Evaluates the model, and saves it as `best` if it beats all earlier ones."""
        arguments, accelerator = self.arguments, self.accelerator
        model = accelerator.unwrap_model(self.model).eval()
        task = get_task(arguments.task)
        result = self.evaluate(
            model,
            self.setup.processor,
            self.setup.eval_dataset,
            task,
            batch_size=arguments.eval_batch_size,
            workers=arguments.workers,
            seed=arguments.seed,
            accelerator=accelerator,
            intervals=False,
        )
        numbers = {key: value for key, value in result.metrics.items() if isinstance(value, float)}
        by_class = {f"IoU/{name}": iou for name, iou in result.metrics["IoU"].items() if not math.isnan(iou)}
        self._log({f"eval_{key}": value for key, value in {**numbers, **by_class}.items()})
        if arguments.sample_images:
            about = model, self.setup.processor, self.setup.eval_dataset, task
            picture = draw_samples(*about, arguments.sample_images, accelerator.autocast())
            if accelerator.is_main_process:
                save_picture(picture, self.folder.samples / f"step-{self.state.step:08d}.jpg")
        headline = numbers[task.headline]
        if math.isnan(self.state.best) or headline > self.state.best:
            self.state.best, self.state.without_gain = headline, 0
            self._save_model("best")
        else:
            self.state.without_gain += 1

    def _save_checkpoint(self) -> None:
        self._check_weights()
        progress = {"state": self.state.state_dict(), "schedule": self.schedule.state_dict()}
        self.folder.save_checkpoint(self.accelerator, self.state.step, **progress)

    def _save_model(self, name: str) -> None:
        self._check_weights()
        with self.setup.ready_to_save():
            self.folder.save_model(name, self.accelerator, self.model, self.setup.processor)

    def _due(self, interval: int) -> bool:
        """Whether something that happens at this interval of steps and after the last one is due; at 0 it never is."""
        step = self.state.step
        return interval > 0 and (step % interval == 0 or step == self.last_step)

    def _in_any_process(self, flag: int) -> bool:
        """Whether the flag is set in at least one process."""
        flags = torch.tensor(float(bool(flag)), device=self.accelerator.device)
        return self.accelerator.reduce(flags, "sum").item() > 0

    def _log(self, values: dict[str, float]) -> None:
        """Writes to the log file and to the trackers."""
        step, values = self.state.step, {**values, **self.meter.state()}
        if self.accelerator.is_main_process:
            self.folder.log({"step": step, **values})
        self.accelerator.log(values, step=step)
