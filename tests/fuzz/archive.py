"""Mutated release archives and folders through `prepare` and `check`."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ..conftest import FIXTURES
from .release_damage import (
    as_tar,
    packed,
    pixels,
    spoil_archive,
    spoil_file,
    spoil_json,
    spoil_mask,
    spoil_members,
    spoil_names,
    spoil_tar,
    write_folder,
)
from .runner import Case, Fault, files_in, run_command

RELEASES = {"pascal-part-116": "PascalPart116", "ade20k-part-234": "ADE20KPart234"}
SPLITS = {"train": ("images/train/", "images/training/"), "validation": ("images/val/", "images/validation/")}


class ArchiveFuzzer:
    """A release becomes rows that hold its bytes, image by image, or is refused and nothing is left."""

    def __init__(self, folder: Path) -> None:
        self.releases = {
            name: _entries((FIXTURES / f"{top}.tar.gz").read_bytes(), top) for name, top in RELEASES.items()
        }

    def run(self, case: Case) -> bool:
        name = case.random.choice(list(RELEASES))
        case.notes.append(name)
        entries, top = dict(self.releases[name]), RELEASES[name]
        inside = {"file": spoil_file, "mask": spoil_mask, "JSON": spoil_json, "names": spoil_names}
        outside = {"archive": spoil_archive, "tar": spoil_tar, "members": spoil_members}
        spoil = case.choose({**inside, **outside, "nothing": lambda *_: None})
        if spoil in outside.values():
            source = case.folder / "release.tar.gz"
            source.write_bytes(spoil(case, entries, top))
        else:
            spoil(case, entries)
            source = case.folder / case.random.choice([top, "release.tar.gz"])
            write_folder(entries, source) if source.name == top else source.write_bytes(packed(as_tar(entries, top)))
        return self._prepare(case, name, source, top)

    def _prepare(self, case: Case, name: str, source: Path, top: str) -> bool:
        before, out = files_in(case.folder), case.folder / "out"
        ending = run_command("prepare", name, source, out)
        checked = run_command("check", source, "--json")
        problems = json.loads(checked.out)["problems"] if checked.out else [checked.err]
        if ending.code == 0:
            after = {path: data for path, data in files_in(case.folder).items() if not path.startswith("out/")}
            _compare(out, _entries(source.read_bytes(), top) if source.is_file() else _folder_entries(source))
        else:
            after = files_in(case.folder)
        if after != before:
            raise Fault(f"left over or changed: {sorted(after.keys() ^ before.keys())}")
        if bool(problems) != bool(ending.code):
            raise Fault(f"`prepare` ends with {ending.code}, `check` finds {problems[:3]}: {ending.err[-500:]}")
        return ending.code == 0


def _compare(out: Path, entries: dict[str, bytes]) -> None:
    """Raises a fault unless the rows are the images of the release, each with its own bytes and labels."""
    for split, folders in SPLITS.items():
        images = {
            PurePosixPath(path).stem: data
            for path, data in entries.items()
            if path.startswith(folders) and PurePosixPath(path).suffix == ".jpg"
        }
        tables = [pq.read_table(file) for file in sorted((out / "data").glob(f"{split}*.parquet"))]
        rows = {row["image_id"]: row for table in tables for row in table.to_pylist()}
        if rows.keys() != images.keys():
            raise Fault(f"{split} has other images: {sorted(rows.keys() ^ images.keys())[:5]}")
        for image_id, row in rows.items():
            _check_instances(row, entries, split)
            if row["image"]["bytes"] != images[image_id]:
                raise Fault(f"the image of {image_id} is not that of the release")
            for column, folder in (("part_map", "annotations_detectron2_part"), ("object_map", "_obj")):
                own = [path for path in entries if f"{folder}/" in path and path.endswith(f"/{image_id}.png")]
                if column in row and not np.array_equal(pixels(row[column]["bytes"]), pixels(entries[own[0]])):
                    raise Fault(f"the {column} of {image_id} is not that of the release")


def _check_instances(row: dict[str, Any], entries: dict[str, bytes], split: str) -> None:
    """Raises a fault if an object is none of the instance file; a polygon without an area may be missing."""
    name = {"train": "ade20k_instance_train.json", "validation": "ade20k_instance_val.json"}[split]
    if name in entries:
        file = json.loads(entries[name].decode("utf-8-sig"))
        ids = [image["id"] for image in file["images"] if image["file_name"] == f"{row['image_id']}.jpg"]
        known = [item["category_id"] for item in file["annotations"] if item["image_id"] in ids]
        if more := Counter(item["category"] for item in row["instances"]) - Counter(known):
            raise Fault(f"{row['image_id']} has objects {dict(more)} that the release lacks")


def _entries(archive: bytes, top: str) -> dict[str, bytes]:
    """The files of an archive, less the companions of macOS, by their path below its top folder."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            PurePosixPath(member.name).relative_to(top).as_posix(): tar.extractfile(member).read()
            for member in tar
            if member.isreg() and "/._" not in member.name and member.name.startswith(f"{top}/")
        }


def _folder_entries(folder: Path) -> dict[str, bytes]:
    return {path: data for path, data in files_in(folder).items() if "/._" not in f"/{path}"}
