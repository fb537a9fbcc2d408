"""What the fuzzers share: cases with seeds, bounds of time and memory, and what a command may end with."""

from __future__ import annotations

import contextlib
import io
import random
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ovparts_hf import cli
from ovparts_hf.errors import OVPartsError

SECONDS = 20  # of processor time that one call may take
WAITING = 300  # seconds in all, on a busy machine
MEMORY = 4 * 2**30  # bytes that one call may ask for; no input of a case needs more
EXIT_CODES = (0, 1, 2, 130)
_LONGEST, _MOST_LINES = 3000, 12  # of an error


class Fault(Exception):
    """The library has broken its promise: an error in one sentence and nothing half written, or the right answer."""


class Overtime(BaseException):
    """A call has taken too long; nothing catches it on the way."""


@dataclass
class Case:
    """One case: random numbers that follow from its seed, an empty folder, and notes of what was done."""

    name: str
    folder: Path
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.name)

    def choose(self, choices: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        """One of several things to do, which is noted."""
        name = self.random.choice(list(choices))
        self.notes.append(name)
        return choices[name]


class Fuzzer(Protocol):
    """Makes in `folder`, once, what its cases begin from."""

    def __init__(self, folder: Path) -> None: ...

    def run(self, case: Case) -> bool:
        """Runs a case; whether there was an answer, as opposed to an error in a sentence. Anything else: a `Fault`."""


class Ending(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


@dataclass
class Report:
    """What became of the cases that were run."""

    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def run(self, fuzzer: Fuzzer, name: str) -> str | None:
        """Runs the case of a name, `<fuzzer>/<seed>`; what is wrong, if anything."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            case = Case(name, Path(folder))
            try:
                counter = self.answered if fuzzer.run(case) else self.refused
                counter[name.split("/")[0]] += 1
                return None
            except (Exception, Overtime) as error:
                detail = str(error) if isinstance(error, Fault) else traceback.format_exc()
                self.faults.append(f"{name} ({', '.join(case.notes)}): {detail}")
                return self.faults[-1]

    def summary(self) -> str:
        """One line of counts."""
        names = sorted({*self.answered, *self.refused, *(fault.split("/")[0] for fault in self.faults)})
        counts = [
            f"{name}: {self.answered[name]} answered, {self.refused[name]} refused, "
            f"{sum(fault.startswith(f'{name}/') for fault in self.faults)} faults"
            for name in names
        ]
        return "; ".join(counts) or "no cases"


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Ends the block with `Overtime` after too much time, and with a MemoryError where it asks for too much memory."""

    def stop(number: int, _frame: Any) -> None:
        raise Overtime(f"more than {SECONDS} s of work, or {WAITING} s in all ({signal.Signals(number).name})")

    with contextlib.ExitStack() as undo:  # all of it is undone, even if `Overtime` comes in between
        for number in (signal.SIGPROF, signal.SIGALRM):
            undo.callback(signal.signal, number, signal.signal(number, stop))
        limit, hard = resource.getrlimit(resource.RLIMIT_AS)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        undo.callback(resource.setrlimit, resource.RLIMIT_AS, (limit, hard))
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, hard))
        for timer, seconds in ((signal.ITIMER_PROF, SECONDS), (signal.ITIMER_REAL, WAITING)):
            undo.callback(signal.setitimer, timer, 0)
            signal.setitimer(timer, seconds)
        yield


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The result of a call; None if it refused its arguments in a sentence. Whatever else it raises is a fault."""
    try:
        with bounded(), contextlib.redirect_stderr(io.StringIO()):
            return function(*arguments, **options)
    except OVPartsError as error:
        check_sentence(str(error))
        return None


def run_command(*arguments: str | Path) -> Ending:
    """Runs `ovparts` in this process; what it ends with must be documented."""
    out, err = io.StringIO(), io.StringIO()
    with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
    return check_ending(Ending(code, out.getvalue(), err.getvalue()))


def check_ending(ending: Ending) -> Ending:
    """Raises a `Fault` unless exit code and errors are as they should be."""
    if ending.code not in EXIT_CODES or "Traceback (most recent call last)" in ending.err:
        raise Fault(f"exit code {ending.code}: {ending.err[-_LONGEST:]}")
    if ending.code:
        _, found, said = ending.err.partition("ovparts: ")
        if not found and not ending.out:
            raise Fault(f"exit code {ending.code} without a sentence")
        if said.count("\novparts: ") > 1:  # `predict` also counts what failed
            raise Fault(f"several errors: {said}")
        check_sentence(said)
    return ending


def check_sentence(text: str) -> None:
    """Raises a `Fault` unless an error is short, and about the input."""
    if len(text) > _LONGEST or len(text.splitlines()) > _MOST_LINES:
        raise Fault(f"an error of {len(text)} characters, {len(text.splitlines())} lines: {text[:_LONGEST]}")
    if "enough memory" in text:
        raise Fault(f"a small input takes more than {MEMORY:,} bytes")


def files_in(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too, and its empty folders, by their path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"(folder)"
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def elapsed(function: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    function()
    return time.monotonic() - started
