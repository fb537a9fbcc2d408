"""The command that pushes to the Hugging Face Hub."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .base import VISIBILITY, argument, command


@command(
    "push a model, a prepared dataset or a Space to the Hub, in one commit",
    "ovparts push outputs/toy/last me/clipseg-toy-world",
    argument("folder", type=Path, help="folder for from_pretrained, prepared dataset, or Space"),
    argument("repo", help="owner/name on the Hub; made if it does not exist"),
    argument("--message", default="Upload with ovparts_hf", help="commit message"),
    *VISIBILITY,
)
def _push(options: Namespace) -> None:
    from ..utils.push import push_folder

    rights = {"public": options.public, "i_have_the_rights": options.i_have_the_rights}
    print(push_folder(options.folder, options.repo, message=options.message, **rights))
