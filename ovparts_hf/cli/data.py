"""Commands about datasets."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path

from ..dataset_builders import BUILDERS, DRAWN, RELEASES, get_builder
from ..errors import ConfigurationError, HubError
from ..taxonomy import PartTaxonomy
from ..utils.files import user_path
from . import custom
from .base import DATA, NUM_PROC, VISIBILITY, argument, command
from .failures import check_writable_file

logger = logging.getLogger(__name__)


@command(
    "make a dataset repository from a release, or of your own labels",
    "ovparts prepare pascal-part-116 PascalPart116.tar.gz data/pascal-part-116",
    argument("name", choices=[*BUILDERS, custom.NAME], help="which dataset; custom: of your own labels"),
    argument("source", nargs="?", help="release archive, or folder; labels of custom (not for the toy datasets)"),
    argument("out", type=user_path, help="folder to make"),
    NUM_PROC,
    argument("--overwrite", action="store_true", help="replace a dataset prepared there before"),
    argument("--push-to-hub", metavar="REPO", help="owner/name on the Hub; what OUT holds already is pushed as it is"),
    *VISIBILITY,
    *custom.OPTIONS,
)
def _prepare(options: Namespace) -> int:
    from ..utils.push import Destination

    if options.push_to_hub is None and (options.public or options.i_have_the_rights):
        raise ConfigurationError("--public and --i-have-the-rights say how to push; say where: --push-to-hub.")
    _check_source(options)
    rights = {"public": options.public, "i_have_the_rights": options.i_have_the_rights}
    if options.push_to_hub is not None:
        Destination(options.push_to_hub, "dataset", **rights).check(photographs=options.name not in DRAWN)
    if options.dry_run:
        return custom.dry_run(options, custom.survey_source(options))
    if options.push_to_hub is not None and not options.overwrite and _is_prepared(options):
        out = options.out.resolve()
        logger.warning("%s is prepared already and pushed as it is; --overwrite prepares it again.", out)
    else:
        out = _write(options)
    print(out)
    if options.push_to_hub is not None:
        print(_push_prepared(out, options.push_to_hub, rights))
    return 0


def _check_source(options: Namespace) -> None:
    if options.name != custom.NAME:
        custom.refuse_options(options)
    if options.name not in DRAWN | {custom.NAME} and options.source is None:
        what = "the release archive or its folder" if options.name in RELEASES else "the unpacked folder of the dataset"
        raise ConfigurationError(f"{options.name} needs its SOURCE: {what}.")
    if options.name in DRAWN and options.source is not None:
        raise ConfigurationError(f"{options.name} is drawn, not read; give only the OUT folder.")


def _write(options: Namespace) -> Path:
    from ..data.preparation.repository import write_repository

    if options.name == custom.NAME:
        builder = custom.builder(options)
    else:
        source = {} if options.source is None else {"data_dir": options.source}
        builder = get_builder(options.name)(**source)
    return write_repository(builder, options.out, options.num_proc, options.overwrite)


def _is_prepared(options: Namespace) -> bool:
    from ..data.preparation.repository import is_repository

    name = options.out.resolve().name if options.name == custom.NAME else options.name
    folder = options.out
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
