"""The command `ovparts`. Each subcommand calls one function of the library."""

from __future__ import annotations

import argparse
import io
import logging
import shlex
import signal
import sys
from collections.abc import Sequence

from transformers.utils import logging as transformers_logging

from ..errors import OVPartsError
from . import cards, data, evaluation, hub, models, predict, results, training


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line after `ovparts`; those of the process when None.

    Returns:
        The exit code: 0, 1 if something was wrong with what was given or found, or 130 if it was interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    options, overrides = parser.parse_known_args(words)
    if overrides and not options.takes_overrides:
        parser.error(f"unrecognized arguments: {shlex.join(overrides)}")
    options.words, options.overrides = words, overrides
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what a terminal cannot show
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("httpx", "httpx2"):  # huggingface_hub 1 and 2
        logging.getLogger(name).setLevel(logging.WARNING)
    transformers_logging.disable_progress_bar()
    try:
        return options.run(options)
    except OVPartsError as error:
        print(f"ovparts: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ovparts", description="Open-vocabulary part segmentation.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for topic in (predict, data, training, evaluation, results, models, cards, hub):
        topic.add_commands(commands)
    return parser
