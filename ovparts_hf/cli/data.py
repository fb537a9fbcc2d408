"""Commands about datasets."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from dataset_builders import BUILDERS, RELEASES, get_builder

from ..data.few_shot import FewShotList
from ..data.part_dataset import PartDataset
from ..data.preparation.check import check
from ..data.preparation.repository import is_repository, write_repository
from ..errors import ConfigurationError, HubError
from ..taxonomy import PartTaxonomy
from ..utils.push import Destination, push_folder
from .command import Commands, command
from .hub import add_visibility

logger = logging.getLogger(__name__)


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    prepare = command(
        commands,
        _prepare,
        "make a dataset repository from a release",
        "ovparts prepare pascal-part-116 PascalPart116.tar.gz data/pascal-part-116",
    )
    prepare.add_argument("name", choices=BUILDERS, help="which dataset")
    prepare.add_argument("source", nargs="?", help="release archive, or its extracted folder (not for toy-world)")
    prepare.add_argument("out", type=Path, help="folder to make")
    prepare.add_argument("--num-proc", type=int, default=1, help="processes (default: %(default)s)")
    prepare.add_argument("--overwrite", action="store_true", help="replace a dataset prepared there before")
    prepare.add_argument(
        "--push-to-hub",
        metavar="REPO",
        help="push it there (owner/name on the Hub); a dataset that OUT holds already is pushed as it is",
    )
    add_visibility(prepare)

    checking = command(
        commands, _check, "compare a release or a prepared dataset with what it should hold", "ovparts check data/x"
    )
    checking.add_argument("path", type=Path, help="archive, extracted folder or prepared dataset")
    checking.add_argument("--json", action="store_true", help="print JSON")
    checking.add_argument("--num-proc", type=int, default=1, help="processes (default: %(default)s)")

    few_shot = command(
        commands,
        _few_shot,
        "draw few-shot training images, so that each part is labelled in at least K of them",
        "ovparts few-shot data/pascal-part-116 outputs/8-shot.json --shots 8 --seed 1",
    )
    few_shot.add_argument("data", help="prepared dataset: folder or Hub id")
    few_shot.add_argument("out", type=Path, help="JSON file for `ovparts train few_shot_list=FILE` and `evaluate`")
    few_shot.add_argument("--shots", type=int, default=16, help="K (default: %(default)s)")
    few_shot.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")


def _prepare(options: argparse.Namespace) -> int:
    builder_class = get_builder(options.name)
    if options.name in RELEASES and options.source is None:
        raise ConfigurationError(f"{options.name} needs its SOURCE: the release archive or its folder.")
    if options.name not in RELEASES and options.source is not None:
        raise ConfigurationError(f"{options.name} is drawn, not read; give only the OUT folder.")
    if options.push_to_hub is None and (options.public or options.i_have_the_rights):
        raise ConfigurationError("--public and --i-have-the-rights say how to push; say where: --push-to-hub.")
    rights = {"public": options.public, "i_have_the_rights": options.i_have_the_rights}
    if options.push_to_hub is not None:
        Destination(options.push_to_hub, "dataset", **rights).check(photographs=options.name in RELEASES)
    builder = builder_class() if options.source is None else builder_class(data_dir=options.source)
    if options.push_to_hub is not None and not options.overwrite and _is_prepared(options.out, options.name):
        out = options.out.resolve()
        logger.warning("%s is prepared already and pushed as it is; --overwrite prepares it again.", out)
    else:
        out = write_repository(builder, options.out, options.num_proc, options.overwrite)
    print(out)
    if options.push_to_hub is not None:
        print(_push_prepared(out, options.push_to_hub, rights))
    return 0


def _is_prepared(folder: Path, name: str) -> bool:
    return is_repository(folder) and PartTaxonomy.from_json(folder / "taxonomy.json").name == name


def _push_prepared(folder: Path, repo: str, rights: dict[str, bool]) -> str:
    try:
        return push_folder(folder, repo, **rights)
    except HubError as error:
        raise HubError(f"{error} The dataset is ready: `ovparts push {folder} {repo}` tries again.") from error


def _check(options: argparse.Namespace) -> int:
    result = check(options.path, RELEASES, options.num_proc)
    print(result.to_json() if options.json else result.to_text())
    return 0 if result.ok else 1


def _few_shot(options: argparse.Namespace) -> int:
    chosen = FewShotList.draw(PartDataset.load(options.data), options.shots, options.seed)
    chosen.to_json(options.out)
    print(chosen)
    print(options.out)
    return 0
