"""What all commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command(
    commands: Commands,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
    takes_overrides: bool = False,
) -> argparse.ArgumentParser:
    """Adds a command that is called like the function that runs it.

    Args:
        commands: Where to add it.
        run: Takes the options and returns the exit code; `_submit_format` becomes `submit-format`.
        summary: One line of help.
        example: A command line.
        takes_overrides: Whether arguments that the parser does not know are allowed; they become `options.overrides`.

    Returns:
        The parser of its arguments.
    """
    name = run.__name__.removeprefix("_").replace("_", "-")
    parser = commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")
    parser.set_defaults(run=run, takes_overrides=takes_overrides)
    return parser
