"""How commands are declared, and the arguments that several of them share."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ..inference.adapters.prompts import PROMPTS
from ..metrics.flavours import FLAVOURS
from ..taxonomy.tasks import TASKS, Setting

Run: TypeAlias = "Callable[[Namespace], int | None]"


class Argument(NamedTuple):
    """What `ArgumentParser.add_argument` is called with."""

    names: tuple[str, ...]
    settings: dict[str, Any]


class Command(NamedTuple):
    """A function that takes the options and returns the exit code, None for 0; and what its help says."""

    run: Run
    summary: str
    example: str
    arguments: tuple[Argument, ...]
    takes_overrides: bool

    @property
    def name(self) -> str:
        """That of the function: `_submit_format` runs `submit-format`."""
        return self.run.__name__.strip("_").replace("_", "-")


def command(
    summary: str, example: str, *arguments: Argument, takes_overrides: bool = False
) -> Callable[[Run], Command]:
    """Makes a command of a function; with `takes_overrides`, unknown arguments become `options.overrides`."""
    return lambda run: Command(run, summary, example, arguments, takes_overrides)


def argument(*names: str, help: str, **settings: Any) -> Argument:
    """An argument of a command; its help ends with its default, if it has one that is not a list."""
    if not isinstance(settings.get("default"), list | None):
        help += " (default: %(default)s)"
    return Argument(names, {"help": help, **settings})


DATA = argument("data", help="prepared dataset: folder or Hub id")
TASK = argument("--task", choices=TASKS, default="zero_shot", help="task of the benchmark")
_SETTINGS = [setting.value for setting in Setting]
SETTING = argument("--setting", choices=_SETTINGS, default="oracle_obj", help="what is given about an image's objects")
METRICS = argument("--metrics", choices=FLAVOURS, default="ov_parts", help="whose definitions of the metrics")
BOUNDARY = argument("--boundary", action="store_true", help="score borders too")
EXTRA_SCORES = argument(
    "--extra-scores",
    action="store_true",
    help="also the scores of other papers: gIoU, cIoU, P@50, mOSI and mUSI (pred_all), part AP (instances)",
)
OVERWRITE = argument("--overwrite", action="store_true", help="replace the complete result that OUT holds")
NUM_PROC = argument("--num-proc", type=int, default=1, help="processes")
VISIBILITY = (
    argument("--public", action="store_true", help="let everybody see a repository that has to be made"),
    argument("--i-have-the-rights", action="store_true", help="everybody may be shown the photographs of the dataset"),
)
SEGMENTER = (
    argument("--prompt", choices=PROMPTS, help="wording of parts (default: that of training, or possessive)"),
    argument("--refiner", help="SAM 2 or SAM 3 model that sharpens masks, or makes them of a detector's boxes"),
    argument("--class-names", type=Path, help="JSON file that maps the classes of a model of transformers to parts"),
)
