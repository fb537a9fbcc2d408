"""Makes a dataset repository of labelled data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, DatasetError
from ...taxonomy import TAXONOMIES, PartTaxonomy
from ...utils.files import resolve_path, template_environment
from ..formats.base import Source
from ..preparation.repository import RowSource, write_repository
from ..rows import instance_features
from .split import SplitRule
from .survey import Survey, survey

if TYPE_CHECKING:
    import datasets

_LICENCE_ID = re.compile(r"[a-z0-9][a-z0-9.-]*")  # as the Hub has them: "cc-by-4.0"


class CustomDataset:
    """The builder of a dataset from a `Survey` without problems; see `write_repository`."""

    TAXONOMY: PartTaxonomy
    CARD: str

    def __init__(self, found: Survey, license_name: str = "unknown") -> None:
        found.refuse_problems()
        self.survey = found
        self.painter = found.painter
        self.TAXONOMY = found.painter.taxonomy
        self.CARD = _card(found, license_name)

    def features(self) -> datasets.Features:
        """Columns of the rows."""
        return instance_features(self.TAXONOMY)

    def fingerprint(self) -> str:
        """Identifies images, labels, classes and split."""
        digest = hashlib.sha256(str(self.TAXONOMY.to_dict()).encode())
        for image, found, side in zip(self.survey.images, self.survey.examined, self.survey.validates):
            digest.update(f"{image.image_id}\0{found.image_digest}{found.labels_digest}{side}\0".encode())
        return digest.hexdigest()

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """The images of each split."""
        groups = {"train": self.survey.images_of(False), "validation": self.survey.images_of(True)}
        return RowSource(groups, self.painter.row, {"split.json": self.survey.split_json()})


def prepare_custom(
    source: str | Path,
    out: str | Path,
    *,
    format_name: str | None = None,
    images: str | Path | None = None,
    names: str | Path | None = None,
    taxonomy: PartTaxonomy | None = None,
    seen: Sequence[str] | None = None,
    unseen: Sequence[str] | None = None,
    validation: str | None = None,
    group: str | None = None,
    seed: int = 0,
    split: str | Path | None = None,
    license_name: str = "unknown",
    num_proc: int = 1,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Makes a dataset repository of images with labelled parts, as `ovparts prepare custom`.

    Args:
        source: Folder, label file, or what else the format is read from.
        out: Folder to make; its name becomes that of the dataset.
        format_name: That of the labels; None if it is to be recognised.
        images: Folder of the images, if they do not lie with the labels.
        names: File with the names of classes, for masks.
        taxonomy: The classes that are allowed; None for those that the labels name.
        seen, unseen: The objects whose parts zero-shot training sees, or all others; None for all.
        validation: Share ("20%") or number ("50") of the images to validate on; None for the split of the source, or
            20% if it has none.
        group: Regular expression; images in whose names it matches the same stay on one side.
        seed: Of the split.
        split: `split.json` of a dataset prepared before, whose images stay on their side.
        license_name: Licence of images and labels for the card, such as "cc-by-4.0".
        num_proc: Processes.
        overwrite: Whether a dataset prepared there before is replaced.
        progress: Whether progress is shown.

    Returns:
        `out`, resolved.

    Raises:
        DatasetError: The source has problems, each of which is named with its file; nothing is written.
        ConfigurationError: An argument is not allowed.
    """
    found = survey(
        Source(str(source), _folder(images), _file(names), taxonomy),
        dataset_name(out),
        format_name,
        SplitRule(validation, group, seed, _file(split)),
        seen,
        unseen,
        num_proc,
        progress,
    )
    return write_repository(CustomDataset(found, license_name), out, num_proc, overwrite, progress)


def dataset_name(out: str | Path) -> str:
    """The name of the dataset in a folder; `ConfigurationError` if it is that of a dataset of the benchmark."""
    name = resolve_path(out, DatasetError).name
    if name in TAXONOMIES:
        raise ConfigurationError(f"{name!r} is the name of another dataset; call the folder differently.")
    return name


def _folder(path: str | Path | None) -> Path | None:
    return None if path is None else resolve_path(path, ConfigurationError)


def _file(path: str | Path | None) -> Path | None:
    resolved = _folder(path)
    if resolved is not None and not resolved.is_file():
        raise ConfigurationError(f"There is no file {path}.")
    return resolved


def _card(found: Survey, license_name: str) -> str:
    taxonomy = found.painter.taxonomy
    with_parts = {taxonomy.object_classes[i] for i in taxonomy.part_object_ids}
    template = template_environment("ovparts_hf.data", autoescape=False).get_template("custom_card.md.j2")
    return template.render(
        survey=found,
        taxonomy=taxonomy,
        license_name=license_name,
        license_id=license_name if _LICENCE_ID.fullmatch(license_name) else "other",
        unseen=[name for name in taxonomy.object_classes if name not in taxonomy.seen_objects and name in with_parts],
        partless=[name for name in taxonomy.object_classes if name not in with_parts],
        size_category=_size_category(len(found.images)),
    )


def _size_category(images: int) -> str:
    bounds = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))
    return next((name for name, bound in bounds if images < bound), "n>1M")
