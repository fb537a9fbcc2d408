"""The command `ovparts`: a file for each topic; each command calls one function of the library.

Commands import what they call when they run, so that help and usage errors need neither torch nor transformers.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import io
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module

from safetensors import SafetensorError

from ..errors import OVPartsError
from ..utils.files import public_name
from ..utils.imports import call_after_import
from ..utils.suggest import did_you_mean
from .base import Command
from .failures import describe_failure

_TOPICS = ("predict", "data", "finetune", "training", "models", "demo", "evaluation", "results", "sharing")
_GARBAGE_THRESHOLD = 10_000  # new objects
EXIT_CODES = (
    "Exit codes: 0 success; 1 something is wrong with the input, or with files, memory or processes of the machine, "
    "which a sentence on stderr says; 2 wrong arguments; 130 interrupted."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, by default that of the process; returns the exit code, see `EXIT_CODES`."""
    _look_for_garbage_less_often()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    options, overrides = parser.parse_known_args(arguments)
    if overrides and not options.takes_overrides:
        names = (word.partition("=")[0] for word in overrides if word.startswith("--"))
        hints = "".join(did_you_mean(name, options.known) for name in names)
        if getattr(options, "parts", None) and not overrides[0].startswith("-"):
            hints += ' Write all parts in one pair of quotes: --parts "dog: head, ear".'
        parser.error(f"unrecognized arguments: {shlex.join(overrides)}{hints and '.'}{hints}")
    options.overrides, options.command_line = overrides, shlex.join(["ovparts", *map(_public, arguments)])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what a terminal cannot show
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("httpx", "httpx2", "accelerate"):  # the first two are those of huggingface_hub 1 and 2
        logging.getLogger(name).setLevel(logging.WARNING)
    call_after_import("transformers.utils.logging", lambda module: module.disable_progress_bar())
    try:
        return options.call(options) or 0
    except OVPartsError as error:
        print(f"ovparts: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # as by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # or Python complains when it ends
        return 128 + signal.SIGPIPE
    except (OSError, MemoryError, RuntimeError, SafetensorError) as error:
        failure = describe_failure(error)
        if failure is None:
            raise
        print(f"ovparts: {failure}", file=sys.stderr)
        return 1


def _look_for_garbage_less_often() -> None:
    """What imports make stays: looking for garbage in it takes a fifth of their time, and a second when Python ends."""
    gc.set_threshold(max(gc.get_threshold()[0], _GARBAGE_THRESHOLD))
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


def _public(argument: str) -> str:
    """An argument as it is written into reports: without folders of this machine, also in "key=value"."""
    key, equals, value = argument.rpartition("=")
    return f"{key}{equals}{public_name(value)}"


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ovparts", description="Open-vocabulary part segmentation.", epilog=EXIT_CODES
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands():
        epilog = f"Example: {command.example}"
        subparser = parsers.add_parser(command.name, help=command.summary, description=command.summary, epilog=epilog)
        shown = (names for names, settings in command.arguments if settings["help"] != argparse.SUPPRESS)
        known = [name for names in shown for name in names if name.startswith("--")]
        subparser.set_defaults(call=command.run, takes_overrides=command.takes_overrides, known=known)
        for names, settings in command.arguments:
            subparser.add_argument(*names, **settings)
    return parser


def commands() -> list[Command]:
    """All commands, in the order of the help."""
    modules = [import_module(f".{topic}", __name__) for topic in _TOPICS]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Command)]
