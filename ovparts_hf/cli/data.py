"""Commands about datasets."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path

from dataset_builders import BUILDERS, RELEASES, get_builder

from ..errors import ConfigurationError, HubError
from ..taxonomy import PartTaxonomy
from ..utils.files import user_path
from .base import DATA, NUM_PROC, VISIBILITY, argument, command
from .failures import check_writable_file

logger = logging.getLogger(__name__)


@command(
    "make a dataset repository from a release",
    "ovparts prepare pascal-part-116 PascalPart116.tar.gz data/pascal-part-116",
    argument("name", choices=BUILDERS, help="which dataset"),
    argument("source", nargs="?", help="release archive, or its extracted folder (not for toy-world and toy-garden)"),
    argument("out", type=user_path, help="folder to make"),
    NUM_PROC,
    argument("--overwrite", action="store_true", help="replace a dataset prepared there before"),
    argument("--push-to-hub", metavar="REPO", help="owner/name on the Hub; what OUT holds already is pushed as it is"),
    *VISIBILITY,
)
def _prepare(options: Namespace) -> None:
    from ..data.preparation.repository import write_repository
    from ..utils.push import Destination

    if options.name in RELEASES and options.source is None:
        raise ConfigurationError(f"{options.name} needs its SOURCE: the release archive or its folder.")
    if options.name not in RELEASES and options.source is not None:
        raise ConfigurationError(f"{options.name} is drawn, not read; give only the OUT folder.")
    if options.push_to_hub is None and (options.public or options.i_have_the_rights):
        raise ConfigurationError("--public and --i-have-the-rights say how to push; say where: --push-to-hub.")
    rights = {"public": options.public, "i_have_the_rights": options.i_have_the_rights}
    if options.push_to_hub is not None:
        Destination(options.push_to_hub, "dataset", **rights).check(photographs=options.name in RELEASES)
    if options.push_to_hub is not None and not options.overwrite and _is_prepared(options.out, options.name):
        out = options.out.resolve()
        logger.warning("%s is prepared already and pushed as it is; --overwrite prepares it again.", out)
    else:
        source = {} if options.source is None else {"data_dir": options.source}
        out = write_repository(get_builder(options.name)(**source), options.out, options.num_proc, options.overwrite)
    print(out)
    if options.push_to_hub is not None:
        print(_push_prepared(out, options.push_to_hub, rights))


def _is_prepared(folder: Path, name: str) -> bool:
    from ..data.preparation.repository import is_repository

    return is_repository(folder) and PartTaxonomy.from_json(folder / "taxonomy.json").name == name


def _push_prepared(folder: Path, repo: str, rights: dict[str, bool]) -> str:
    from ..utils.push import push_folder

    try:
        return push_folder(folder, repo, **rights)
    except HubError as error:
        raise HubError(f"{error} The dataset is ready: `ovparts push {folder} {repo}` tries again.") from error


@command(
    "compare a release or a prepared dataset with what it should hold",
    "ovparts check data/x",
    argument("path", type=user_path, help="archive, extracted folder or prepared dataset"),
    argument("--json", action="store_true", help="print JSON"),
    NUM_PROC,
)
def _check(options: Namespace) -> int:
    from ..data.preparation.check import check

    result = check(options.path, RELEASES, options.num_proc)
    print(result.to_json() if options.json else result.to_text())
    return 0 if result.ok and not result.incomplete else 1


@command(
    "draw few-shot training images, so that each part is labelled in at least K of them",
    "ovparts few-shot data/pascal-part-116 outputs/8-shot.json --shots 8 --seed 1",
    DATA,
    argument("out", type=user_path, help="JSON file for `ovparts train few_shot_list=FILE` and `evaluate`"),
    argument("--shots", type=int, default=16, help="K"),
    argument("--seed", type=int, default=0, help="random seed"),
)
def _few_shot(options: Namespace) -> None:
    from ..data.few_shot import FewShotList
    from ..data.part_dataset import PartDataset

    check_writable_file(options.out)
    drawn = FewShotList.draw(PartDataset.load(options.data), options.shots, options.seed)
    drawn.to_json(options.out)
    print(drawn)
    print(options.out)
