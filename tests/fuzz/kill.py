"""SIGKILL at random moments of a command; the same command again ends as one that was never disturbed."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from accelerate.state import AcceleratorState  # noqa: F401  imported here, so that the commands need not
from transformers.models.clipseg import modeling_clipseg  # noqa: F401

from ovparts_hf import cli
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import ToyWorld
from ovparts_hf.evaluation import evaluator, predictor  # noqa: F401
from ovparts_hf.inference import segmenter  # noqa: F401
from ovparts_hf.models.auto import FAMILIES, model_class
from ovparts_hf.reporting import gallery, report  # noqa: F401
from ovparts_hf.toy.world import draw
from ovparts_hf.training import loop  # noqa: F401

from .runner import WAITING, Case, Ending, Fault, check_ending, elapsed, files_in

cli.commands()  # imports every topic
for family in FAMILIES:
    model_class(family)

RECIPE = Path(cli.__file__).parents[1] / "toy" / "clipseg.yaml"
FIXTURES = Path(__file__).parents[1] / "fixtures"  # not from conftest, which imports more
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
VOLATILE = re.compile(
    rb'"(seconds|images_per_second|memory_gb)": [\d.e+-]+|<dt>(seconds|images_per_second)</dt><dd>[\d.e+-]+'
    rb"|\d{4}-\d\d-\d\dT[\d:.]+\+00:00"
)
"""What differs between two runs that do the same: times, and what memory happened to be taken."""


class Undisturbed(NamedTuple):
    """What a command wrote, how long it took, and how often it changed something."""

    result: dict[str, bytes]
    seconds: float
    changes: int


class KillFuzzer:
    """Each command runs in a process that is forked from one with everything imported, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload([__name__])
        self.processes.Process().start()  # imports everything, once
        self.folder, self.inputs = folder, folder / "inputs"
        write_repository(ToyWorld({"train": 8, "validation": 4}), self.inputs / "toy", progress=False)
        for number in range(3):
            draw("fuzz", number).image.save(self.inputs / f"{number}.png")
        self.undisturbed: dict[str, Undisturbed] = {}

    def _commands(self) -> dict[str, list[str]]:
        toy, images = str(self.inputs / "toy"), [str(self.inputs / f"{number}.png") for number in range(3)]
        train = [
            "train",
            "--recipe",
            str(RECIPE),
            f"data={toy}",
            "output=out",
            "steps=3",
            "batch_size=2",
            "resume=true",
        ]
        train += ["save_every=1", "eval_every=2", "log_every=1", "workers=0"]
        prepare = ["prepare", "pascal-part-116", str(FIXTURES / "PascalPart116.tar.gz"), "out"]
        evaluate = ["evaluate", "toy-trained", toy, "--out", "out", "--device", "cpu"]
        predict = ["predict", *images, "--parts", "bench: seat", "--out", "out", "--overlay", "--json"]
        return {
            "prepare": prepare,
            "prepare once more": [*prepare, "--overwrite"],
            "train": train,
            "evaluate": evaluate,
            "evaluate once more": [*evaluate, "--overwrite"],
            "predict": predict,
            "predict what is missing": [*predict, "--skip-existing"],
        }

    def run(self, case: Case) -> bool:
        commands, numbers = self._commands(), case.random
        name = numbers.choice(list(commands))
        case.notes.append(name)
        command, whole = commands[name], self._undisturbed(name)
        for _ in range(numbers.choice([1, 1, 2])):
            if numbers.random() < 0.5:
                moment = numbers.randint(1, whole.changes)
                case.notes.append(f"killed at change {moment} of {whole.changes}")
                self._run(command, case.folder, kill_at=moment)
            else:
                share = numbers.random()
                case.notes.append(f"killed after {share:.0%} of the time")
                self._run(command, case.folder, wait=share * whole.seconds)
        self._finish(command, case.folder)
        result, expected = _result(case.folder / "work"), whole.result
        if result.keys() != expected.keys():
            raise Fault(f"missing or left over: {sorted(result.keys() ^ expected.keys())}")
        if different := [path for path in result if result[path] != expected[path]]:
            raise Fault(f"different: {different}")
        return True

    def _undisturbed(self, name: str) -> Undisturbed:
        """A command that nothing disturbs, run once."""
        if name not in self.undisturbed:
            folder = self.folder / name
            folder.mkdir()
            seconds = elapsed(lambda: self._finish(self._commands()[name], folder))
            changes = int((folder / "changes").read_text())
            self.undisturbed[name] = Undisturbed(_result(folder / "work"), seconds, changes)
        return self.undisturbed[name]

    def _finish(self, command: list[str], folder: Path) -> None:
        code = self._run(command, folder, wait=WAITING)
        ending = Ending(code, *((folder / name).read_text(errors="replace") for name in ("stdout", "stderr")))
        check_ending(ending)
        if code and "overwrite" not in ending.err:  # it had been done before the kill
            raise Fault(f"exit code {code}: {ending.err[-1000:]}")

    def _run(self, command: list[str], folder: Path, kill_at: int = 0, wait: float = WAITING) -> int | None:
        process = self.processes.Process(target=_run_killed, args=(command, folder, kill_at))
        process.start()
        process.join(wait)
        process.kill()
        process.join()
        return process.exitcode


def _run_killed(command: list[str], folder: Path, kill_at: int) -> None:
    """Runs a command in `folder`/work, and writes how often it changed something there; is killed at one of those."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    os.chdir(work)
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    changes = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal changes
        writes = event == "open" and bool(details[2] & (os.O_WRONLY | os.O_RDWR))
        if (writes or event in CHANGES) and str(details[0]) != str(folder / "changes"):
            changes += 1
            if changes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    os.fsync = lambda descriptor: None  # which is for machines that stop: what a killed process wrote is there
    code = cli.main(command)
    (folder / "changes").write_text(str(changes))
    sys.exit(code)


def _result(work: Path) -> dict[str, bytes]:
    """What a command wrote, without times."""
    return {path: VOLATILE.sub(b"", data) for path, data in files_in(work).items()}
