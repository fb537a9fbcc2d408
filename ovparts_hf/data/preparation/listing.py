"""Which files of a release belong together, which lack a partner, and which are the few-shot images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...errors import DatasetError
from .annotations import AnnotatedImage, read_few_shot_list, read_instances
from .archives import is_junk
from .layout import ReleaseLayout


@dataclass(frozen=True)
class ListedImage:
    """One image of a release, with its entry in the instance file if there is one."""

    split: str
    image_id: str
    annotated: AnnotatedImage | None = None


@dataclass
class SplitListing:
    """What a split consists of.

    Attributes:
        images: The complete ones in the order of the benchmark.
        found: How many files every folder holds, and how many images the instance file lists.
        problems: Files without their partner and entries that contradict each other.
        notes: What is odd but harmless.
    """

    images: list[ListedImage] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class FewShotListing:
    """The images of the few-shot list, by id, and what is wrong with the list."""

    image_ids: frozenset[str] = frozenset()
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def list_split(layout: ReleaseLayout, root: Path, split: str) -> SplitListing:
    """Pairs the files of one split by name.

    Images follow the instance file if there is one, by ascending id, and their names otherwise.

    Args:
        layout: Where the files are.
        root: Top folder of the release.
        split: Name of the split.
    """
    listing = SplitListing()
    stems = {}
    for folder in (layout.images, *layout.mask_folders):
        path = root / folder / layout.split_folders[split]
        if path.is_dir():
            stems[folder] = _stems(path, ".jpg" if folder == layout.images else ".png")
            listing.found[folder] = len(stems[folder])
        else:
            listing.problems.append(f"{_name(root, path)} is missing; the release has this folder.")
    present = _partners(layout, root, split, stems, listing)
    if layout.instance_files:
        listing.images = _listed_images(layout, root, split, present, listing)
    else:
        listing.images = [ListedImage(split, stem) for stem in sorted(present)]
    if not (listing.images or listing.problems):
        folder = root / layout.images / layout.split_folders[split]
        listing.problems.append(f"{_name(root, folder)} holds no images (.jpg).")
    return listing


def list_few_shot(layout: ReleaseLayout, root: Path, train: SplitListing) -> FewShotListing:
    """Finds the images of the few-shot list among those of the training split."""
    listing = FewShotListing()
    path = root / layout.few_shot_list
    if not path.is_file():
        listing.problems.append(f"{_name(root, path)} is missing; the release has this file.")
        return listing
    try:
        entries = read_few_shot_list(path, _name(root, path))
    except DatasetError as error:
        listing.problems.append(str(error))
        return listing
    folder = layout.split_folders["train"]
    known = {image.image_id for image in train.images}
    wanted = {entry: PurePosixPath(entry) for entry in entries}
    ids = {entry: p.stem for entry, p in wanted.items() if p.parent.as_posix() in (folder, ".") and p.stem in known}
    listing.image_ids = frozenset(ids.values())
    unmatched = [entry for entry in entries if entry not in ids]
    if not ids and known:
        listing.problems.append(
            f"{_name(root, path)} names no image of {layout.images}/{folder}; its first entries are "
            f"{entries[:3]}. An entry must end in {layout.images}/{folder}/<id>.jpg."
        )
    elif unmatched:
        listing.notes.append(f"{_name(root, path)} names images that are not there: {unmatched[:10]}.")
    return listing


def _partners(
    layout: ReleaseLayout, root: Path, split: str, stems: dict[str, set[str]], listing: SplitListing
) -> set[str]:
    """Notes every file without a partner; returns the names that all folders have, none if a folder is missing."""
    folder = layout.split_folders[split]
    images = stems.get(layout.images)
    for mask_folder in layout.mask_folders:
        if images is None or mask_folder not in stems:
            continue
        for stem in sorted(images ^ stems[mask_folder]):
            image = _name(root, root / layout.images / folder / f"{stem}.jpg")
            mask = _name(root, root / mask_folder / folder / f"{stem}.png")
            listing.problems.append(
                f"{image} has no mask {mask}." if stem in images else f"{mask} has no image {image}."
            )
    complete = len(stems) == len(layout.mask_folders) + 1
    return set.intersection(*stems.values()) if complete else set()


def _listed_images(
    layout: ReleaseLayout, root: Path, split: str, present: set[str], listing: SplitListing
) -> list[ListedImage]:
    path = root / layout.instance_files[split]
    if not path.is_file():
        listing.problems.append(f"{_name(root, path)} is missing; the release has this file.")
        return []
    try:
        annotated, problems = read_instances(path, _name(root, path))
    except DatasetError as error:
        listing.problems.append(str(error))
        return []
    listing.found[path.name] = len(annotated)
    listing.problems.extend(problems)
    folder = root / layout.images / layout.split_folders[split]
    for image in annotated:
        if not (folder / image.file_name).is_file():
            listing.problems.append(
                f"{_name(root, path)} lists {image.file_name!r}, which {_name(root, folder)} lacks."
            )
    by_stem = {PurePosixPath(image.file_name).stem: image for image in annotated}
    unlisted = sorted(present - by_stem.keys())
    if unlisted:
        listing.notes.append(f"{_name(root, path)} does not list {len(unlisted)} images, left out: {unlisted[:10]}.")
    return [ListedImage(split, stem, image) for stem, image in by_stem.items() if stem in present]


def _stems(folder: Path, suffix: str) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix == suffix and not is_junk(path.name)}


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root.parent).as_posix()
