"""`ovparts prepare custom`: a dataset of labels that users made themselves."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.formats.registry import READERS
from ..errors import ConfigurationError, DatasetError
from ..taxonomy import PartTaxonomy
from ..utils.files import atomic_folder, resolve_path, user_path
from .base import argument
from .failures import check_writable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ..data.custom.dataset import CustomDataset
    from ..data.custom.survey import Survey

logger = logging.getLogger(__name__)

NAME = "custom"
_OVERLAYS = 10
_OVERLAY_EDGE = 1024  # pixels
OPTIONS = (
    argument("--dry-run", action="store_true", help="custom: write no dataset, but print what is in the labels"),
    argument("--format", choices=READERS, help="custom: format of the labels, if it is not recognised"),
    argument("--images", metavar="FOLDER", help="custom: where the images are, if not with the labels"),
    argument(
        "--names", metavar="FILE", help="custom: names of classes, for masks, yolo, datasets (names.txt in SOURCE)"
    ),
    argument("--taxonomy", metavar="FILE", help="custom: JSON file of the allowed classes, in id order"),
    argument("--seen", nargs="+", metavar="OBJECT", help="custom: objects that zero-shot training sees"),
    argument("--unseen", nargs="+", metavar="OBJECT", help="custom: or those that it does not see"),
    argument("--val", metavar="SHARE", help="custom: share or number of images to validate on; else as SOURCE or 20%%"),
    argument("--group", metavar="REGEX", help="custom: images in whose names it matches the same stay together"),
    argument("--split", metavar="FILE", help="custom: split.json of an earlier dataset, whose images stay there"),
    argument("--seed", type=int, help="custom: of the split (default: 0)"),
    argument("--license", help="custom: licence for the card, such as cc-by-4.0"),
)
_KEYS = [names[0].strip("-").replace("-", "_") for names, _ in OPTIONS]


def refuse_options(options: Namespace) -> None:
    """Refuses the options of `prepare custom` where another dataset is prepared."""
    given = [key for key in _KEYS if getattr(options, key) not in (None, False)]
    if given:
        raise ConfigurationError(f"--{given[0].replace('_', '-')} is for `ovparts prepare custom`, not {options.name}.")


def survey_source(options: Namespace) -> Survey:
    """Reads and examines the labels."""
    from ..data.custom.dataset import dataset_name
    from ..data.custom.split import SplitRule
    from ..data.custom.survey import survey
    from ..data.formats.base import Source
    from ..data.preparation.repository import check_target

    if options.source is None:
        raise ConfigurationError("custom needs its SOURCE: the folder or file of the labels.")
    name = dataset_name(options.out)
    check_writable(options.out.parent)
    if not options.dry_run:
        check_target(resolve_path(options.out, DatasetError), options.overwrite)
    taxonomy = None if options.taxonomy is None else PartTaxonomy.from_json(options.taxonomy)
    source = Source(
        options.source, _existing(options.images, "--images"), _existing(options.names, "--names"), taxonomy
    )
    rule = SplitRule(options.val, options.group, options.seed or 0, _existing(options.split, "--split"))
    return survey(source, name, options.format, rule, options.seen, options.unseen, options.num_proc)


def builder(options: Namespace) -> CustomDataset:
    """The builder of the dataset, after saying what was found."""
    from ..data.custom.dataset import CustomDataset
    from ..data.custom.summary import summary

    made = CustomDataset(survey_source(options), options.license or "unknown")
    logger.info(summary(made.survey))
    return made


def dry_run(options: Namespace, found: Survey) -> int:
    """Prints what was found and writes overlays beside OUT; 1 if there are problems."""
    from ..data.custom.summary import summary

    print(summary(found))
    if found.painter is not None and found.images:
        folder = options.out.with_name(f"{options.out.name}-preview")
        count = _write_overlays(found, folder)
        print(f"{folder}: {count} images with their labels painted on")
    return 1 if found.problems else 0


def _write_overlays(found: Survey, folder: Path) -> int:
    """Images without a problem, spread evenly over the data."""
    from ..data.formats.images import OVERLAYS

    if folder.exists() and (
        not folder.is_dir() or any(path.suffix != ".png" and path.name != OVERLAYS for path in folder.iterdir())
    ):
        raise ConfigurationError(f"{folder} holds something else than overlays; move it, or name another OUT.")
    good = [image for image, examined in zip(found.images, found.examined) if not examined.problems]
    count = min(len(good), _OVERLAYS)
    chosen = [good[number * (len(good) - 1) // max(1, count - 1)] for number in range(count)]
    with atomic_folder(folder) as partial:
        (partial / OVERLAYS).touch()
        for image in chosen:
            _painted(*found.painter.preview(image), found.taxonomy).save(partial / f"{image.image_id}.png")
    return len(chosen)


def _painted(image: Image.Image, part_map: np.ndarray, taxonomy: PartTaxonomy) -> Image.Image:
    """An overlay small enough for its legend to be read."""
    from PIL import Image

    from ..data.masks import present_labels
    from ..inference.visualization import overlay
    from ..utils.resize import resize_nearest

    present = present_labels(part_map, taxonomy.ignore_index)
    scale = _OVERLAY_EDGE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
        part_map = resize_nearest(part_map, (height, width))
    return overlay(image, part_map, taxonomy.part_classes, found=present)


def _existing(path: str | None, option: str) -> Path | None:
    if path is None:
        return None
    resolved = user_path(path).resolve()
    if not resolved.exists():
        raise ConfigurationError(f"{option}: {path} does not exist.")
    return resolved
