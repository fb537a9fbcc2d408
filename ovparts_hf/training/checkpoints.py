"""The files of a training run: its arguments, log, models and the states it can be resumed from."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator
from torch import nn

from ..errors import ConfigurationError
from ..utils.files import atomic_write
from .arguments import LoopArguments

_MAY_CHANGE = {
    "output",
    "micro_batch_size",
    "workers",
    "cache",
    "eval_batch_size",
    "log_every",
    "save_every",
    "log_with",
    "resume",
    "overwrite",
}
"""Arguments that do not change what is learned, beyond the order of floating-point sums."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: Steps done.
        best: Best headline metric so far in percent, NaN before the first evaluation.
        loss_sum: Sum of the losses since the last line of the log.
        loss_count: Their number.
    """

    step: int = 0
    best: float = math.nan
    loss_sum: float = 0.0
    loss_count: int = 0

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the values of a `state_dict`."""
        vars(self).update(state)


class CheckpointManager:
    """A training run's output folder.

    Args:
        path: The folder; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.arguments_file = self.path / "arguments.yaml"
        self.log_file = self.path / "log.jsonl"
        self.states = self.path / "states"

    def check(self, arguments: LoopArguments) -> Path | None:
        """Checks, without changing anything, that the run may write here.

        Returns:
            The state to resume from, or None to start.

        Raises:
            ConfigurationError: The folder holds something else, or a run that is neither to be resumed nor overwritten,
                or one that was started with other arguments.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"The output {self.path} is a file; name a folder.")
        if not self.path.exists() or not any(self.path.iterdir()):
            return None
        if not self.arguments_file.exists():
            raise ConfigurationError(f"The output folder {self.path} holds other files; name a new or empty folder.")
        if arguments.overwrite:
            return None
        if not arguments.resume:
            raise ConfigurationError(
                f"The output folder {self.path} holds a training run; add resume=true to continue it, overwrite=true "
                "to replace it, or name another folder."
            )
        self._check_same(arguments)
        return max(self.states.glob("step-*"), default=None)

    def _check_same(self, arguments: LoopArguments) -> None:
        earlier = yaml.safe_load(self.arguments_file.read_text(encoding="utf-8"))
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

    def begin(self, arguments: LoopArguments, step: int) -> None:
        """Makes the folder ready for the first step of this session; only one process may call it.

        Args:
            arguments: Written to `arguments.yaml`.
            step: Steps already done. Later lines of the log are dropped; with 0, all files of an earlier run are.
        """
        if step == 0:
            self.log_file.unlink(missing_ok=True)
            for name in ("states", "best", "last"):
                shutil.rmtree(self.path / name, ignore_errors=True)
        else:
            self._cut_log(step)
        with atomic_write(self.arguments_file) as temporary:
            temporary.write_text(arguments.to_yaml(), encoding="utf-8")

    def _cut_log(self, step: int) -> None:
        lines = self.log_file.read_text(encoding="utf-8").splitlines(keepends=True) if self.log_file.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
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

    def save_state(self, accelerator: Accelerator, step: int) -> None:
        """Saves everything that resuming needs, in place of earlier states; all processes call it together."""
        target = self.states / f"step-{step:08d}"
        unfinished = self.states / ".unfinished"
        if accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
        accelerator.wait_for_everyone()
        if not target.exists():
            accelerator.save_state(str(unfinished))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                _swap_in(unfinished, target)
                for state in self.states.glob("step-*"):
                    if state != target:
                        shutil.rmtree(state)
        accelerator.wait_for_everyone()

    def save_model(self, name: str, accelerator: Accelerator, model: nn.Module, processor: Any) -> None:
        """Saves model and processor for `from_pretrained`; all processes call it together.

        Args:
            name: Of the subfolder, which is replaced only once the new one is complete.
            accelerator: Knows how the weights are spread over processes.
            model: As `accelerator.prepare` returned it.
            processor: Saved beside the weights.
        """
        weights = accelerator.get_state_dict(model)
        if accelerator.is_main_process:
            unfinished = self.path / f".{name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            accelerator.unwrap_model(model).save_pretrained(unfinished, state_dict=weights)
            processor.save_pretrained(unfinished)
            _swap_in(unfinished, self.path / name)
        accelerator.wait_for_everyone()


def _swap_in(new: Path, target: Path) -> None:
    """Gives the folder `new` the name `target`, whose earlier content goes."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
