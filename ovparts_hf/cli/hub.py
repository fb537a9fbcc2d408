"""Commands about the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..utils.push import push_folder
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    push = command(
        commands,
        _push,
        "push a model, a prepared dataset or a Space to the Hub, in one commit",
        "ovparts push outputs/toy/last me/clipseg-toy-world",
    )
    push.add_argument("folder", type=Path, help="folder for from_pretrained, prepared dataset, or Space")
    push.add_argument("repo", help="owner/name on the Hub; made if it does not exist")
    push.add_argument("--message", default="Upload with ovparts_hf", help="of the commit (default: %(default)s)")
    add_visibility(push)


def add_visibility(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say who may see a repository."""
    parser.add_argument("--public", action="store_true", help="let everybody see a repository that has to be made")
    parser.add_argument(
        "--i-have-the-rights", action="store_true", help="the photographs of the dataset may be shown to everybody"
    )


def _push(options: argparse.Namespace) -> int:
    print(
        push_folder(
            options.folder,
            options.repo,
            public=options.public,
            i_have_the_rights=options.i_have_the_rights,
            message=options.message,
        )
    )
    return 0
