"""The output folder of a training run: arguments, log, models and checkpoints to resume from."""

from __future__ import annotations

import json
import logging
import math
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from ..errors import CheckpointError, ConfigurationError
from ..utils.files import atomic_folder, atomic_write, brief, sync, sync_folder
from ..utils.locks import writer_lock
from .arguments import LoopArguments
from .manifest import find_damage, write_manifest
from .recipe import read_mapping, with_current_names
from .restore import PROGRESS_FILE
from .sharding import save_whole

logger = logging.getLogger(__name__)

_MAY_CHANGE = {
    *("output", "micro_batch_size", "eval_batch_size", "gradient_checkpointing", "class_chunk", "threads", "workers"),
    "sample_images",
    *("cache", "log_every", "save_every", "log_with", "time_limit", "resume", "overwrite"),
}
"""Arguments that do not change what is learned, beyond the order of floating-point sums."""


_LOCK_FILE = ".lock"
_OLD = ".old"
_KEPT = 2  # checkpoints, of which the older one serves if the newer is damaged


def _name(step: int) -> str:
    return f"step-{step:08d}"


@dataclass
class TrainState:
    """The progress of a run."""

    step: int = 0  # steps done
    best: float = math.nan  # best headline metric so far in percent, NaN before the first evaluation
    loss_sum: float = 0.0  # of the losses since the last line of the log
    loss_count: int = 0
    evaluated: int = 0  # the step of the last evaluation
    without_gain: int = 0  # evaluations since the best one
    seconds: float = 0.0  # of training so far, if its time is limited

    def state_dict(self) -> dict[str, Any]:
        return {**asdict(self), "best": None if math.isnan(self.best) else self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        best = math.nan if state["best"] is None else float(state["best"])
        # Earlier versions saved no state before an evaluation that was due.
        vars(self).update(vars(TrainState(**{"evaluated": state["step"], **state, "best": best})))
        for count in (self.step, self.loss_count, self.evaluated, self.without_gain):
            if type(count) is not int or count < 0:
                raise ValueError(f"its progress has {brief(count)} where a number of steps belongs")


class CheckpointManager:
    """Reads and writes a run's output folder, which need not exist."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.arguments_file = self.path / "arguments.yaml"
        self.log_file = self.path / "log.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.earlier_checkpoints = self.path / "states"  # where earlier versions kept them
        self.samples = self.path / "samples"  # pictures, a file for each evaluation
        self.trackers = self.path / "trackers"  # of those that write files

    def check(self, arguments: LoopArguments) -> Path | None:
        """Checks, without changing anything, that the run may write here; the checkpoint to resume from, or None.

        That is the newest one whose files are as they were saved.
        """
        if not self._holds_run() or arguments.overwrite:
            return None
        if not arguments.resume:
            raise ConfigurationError(
                f"The output folder {self.path} holds a training run; add resume=true to continue it, overwrite=true "
                "to replace it, or name another folder."
            )
        self._check_same(arguments)
        return self._newest_intact()

    def _saved(self) -> list[Path]:
        """All checkpoints, the newest first."""
        saved = [*self.checkpoints.glob("step-*"), *self.earlier_checkpoints.glob("step-*")]
        return sorted(saved, key=lambda folder: folder.name, reverse=True)

    def _newest_intact(self) -> Path | None:
        damaged = []
        for folder in self._saved():
            damage = find_damage(folder)
            if damage is None:
                if damaged:
                    logger.warning("%s The run continues from %s instead.", " ".join(damaged), folder.name)
                return folder
            damaged.append(f"The checkpoint {folder} is damaged: {damage}.")
        if damaged:
            raise CheckpointError(f"{' '.join(damaged)} No other is left; start the run anew with overwrite=true.")
        return None

    def lock(self) -> AbstractContextManager[None]:
        """A block in which no other process may write here; only one process of a run may enter it."""
        self._holds_run()  # no lock file is put among other files
        return writer_lock(self.path / _LOCK_FILE, self.path)

    def _holds_run(self) -> bool:
        """Whether there is a run, as opposed to nothing; anything else is an error."""
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"The output {self.path} is a file; name a folder.")
        if not self.path.exists() or all(path.name == _LOCK_FILE for path in self.path.iterdir()):
            return False
        if not self.arguments_file.exists():
            raise ConfigurationError(f"The output folder {self.path} holds other files; name a new or empty folder.")
        return True

    def _check_same(self, arguments: LoopArguments) -> None:
        earlier = with_current_names(read_mapping(self.arguments_file))
        changed = [
            f"{name}: {earlier.get(name)!r} -> {value!r}"
            for name, value in asdict(arguments).items()
            if name not in _MAY_CHANGE and earlier.get(name) != value
        ]
        if changed:
            raise ConfigurationError(
                f"The run in {self.path} cannot be resumed with other arguments ({'; '.join(changed)}). Give the "
                f"earlier ones, or start a new run, from model={self.path / 'last'} if you like."
            )

    def start(self, arguments: LoopArguments, step: int, evaluated: int | None = None) -> None:
        """Removes what comes after `step`, or after `evaluated` among evaluations; at step 0, all of an earlier run.

        Only one process may call it.
        """
        if step == 0:
            self.log_file.unlink(missing_ok=True)
            models = self.path / "best", self.path / "last"
            for folder in (self.checkpoints, self.earlier_checkpoints, self.trackers, self.samples, *models):
                shutil.rmtree(folder, ignore_errors=True)
        else:
            self._cut_log(step, step if evaluated is None else evaluated)
            for folder in self._saved():  # damaged ones, of which `check` has told
                if folder.name[: len(_name(step))] > _name(step):
                    shutil.rmtree(folder)
        for name in ("best", "last"):  # what `save_model` leaves if it is killed
            for folder in self.path.glob(f".{name}.*"):
                shutil.rmtree(folder, ignore_errors=True)
        with atomic_write(self.arguments_file) as temporary:
            temporary.write_text(arguments.to_yaml(), encoding="utf-8")

    def _cut_log(self, step: int, evaluated: int) -> None:
        text = self.log_file.read_bytes().decode(errors="replace") if self.log_file.exists() else ""
        kept = []
        for line in text.splitlines(keepends=True):
            with suppress(ValueError, KeyError, TypeError):  # a line that a killed run or the disk left half written
                entry = json.loads(line)
                if line.endswith("\n") and entry["step"] <= (step if "learning_rate" in entry else evaluated):
                    kept.append(line)
        with atomic_write(self.log_file) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def log(self, entry: dict[str, Any]) -> None:
        """Appends a line to the log; NaN and infinity become null."""
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in entry.items()
        }
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")

    def save_checkpoint(self, accelerator: Accelerator, step: int, **progress: Any) -> None:
        """Saves what was prepared, random numbers and `progress` (as JSON), then removes all but the last two.

        All processes call it together.
        """
        target, unfinished = self.checkpoints / _name(step), self.checkpoints / ".unfinished"
        old, progress_text = target.with_suffix(_OLD), json.dumps(progress)
        if accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
        accelerator.wait_for_everyone()
        saved = target / PROGRESS_FILE
        if not saved.exists() or saved.read_text(encoding="utf-8") != progress_text:
            if accelerator.is_fsdp2:
                save_whole(accelerator, unfinished)
            else:
                accelerator.save_state(str(unfinished))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                (unfinished / PROGRESS_FILE).write_text(progress_text, encoding="utf-8")
                write_manifest(unfinished)
                sync_folder(unfinished)
                if target.exists():  # saved before an evaluation; counts under this name, too
                    shutil.rmtree(old, ignore_errors=True)
                    target.rename(old)
                unfinished.rename(target)
                sync(self.checkpoints)
                sync(self.path)  # the first time, `checkpoints` itself is new
                complete = sorted(path for path in self.checkpoints.glob("step-*") if path.suffix != _OLD)
                for earlier in [*complete[:-_KEPT], *self.checkpoints.glob(f"*{_OLD}"), self.earlier_checkpoints]:
                    shutil.rmtree(earlier, ignore_errors=True)
        accelerator.wait_for_everyone()

    def save_model(self, name: str, accelerator: Accelerator, model: nn.Module, processor: Any) -> None:
        """Saves a prepared model and its processor in the subfolder `name`; all processes call it together."""
        weights = accelerator.get_state_dict(model)
        if accelerator.is_main_process:
            with atomic_folder(self.path / name) as temporary:
                accelerator.unwrap_model(model).save_pretrained(temporary, state_dict=weights)
                processor.save_pretrained(temporary)
        accelerator.wait_for_everyone()
