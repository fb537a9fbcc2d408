"""Mutated release archives and folders through `prepare` and `check`."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from ..conftest import FIXTURES
from .mutations import mutate_bytes, mutate_json
from .runner import Case, Fault, files_in, run_command

RELEASES = {"pascal-part-116": "PascalPart116", "ade20k-part-234": "ADE20KPart234"}
SPLITS = {"train": ("images/train/", "images/training/"), "validation": ("images/val/", "images/validation/")}
LONG = "x" * 300


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
        inside = {"file": _spoil_file, "mask": _spoil_mask, "JSON": _spoil_json, "names": _spoil_names}
        outside = {"archive": _spoil_archive, "tar": _spoil_tar, "members": _spoil_members}
        spoil = case.choose({**inside, **outside, "nothing": lambda *_: None})
        if spoil in outside.values():
            source = case.folder / "release.tar.gz"
            source.write_bytes(spoil(case, entries, top))
        else:
            spoil(case, entries)
            source = case.folder / case.random.choice([top, "release.tar.gz"])
            _write(entries, source) if source.name == top else source.write_bytes(_packed(_tar(entries, top)))
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
            if row["image"]["bytes"] != images[image_id]:
                raise Fault(f"the image of {image_id} is not that of the release")
            for column, folder in (("part_map", "annotations_detectron2_part"), ("object_map", "_obj")):
                own = [path for path in entries if f"{folder}/" in path and path.endswith(f"/{image_id}.png")]
                if column in row and not np.array_equal(_pixels(row[column]["bytes"]), _pixels(entries[own[0]])):
                    raise Fault(f"the {column} of {image_id} is not that of the release")


def _pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


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


def _write(entries: dict[str, bytes], folder: Path) -> None:
    for name, data in entries.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except (OSError, ValueError):  # no file can have this name
            continue


def _packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 1)


def _tar(entries: dict[str, bytes], top: str, extra: list[tuple[tarfile.TarInfo, bytes]] = []) -> bytes:  # noqa: B006
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name, data in entries.items():
            _add(tar, tarfile.TarInfo(f"{top}/{name}"), data)
        for member, data in extra:
            _add(tar, member, data)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _pick(case: Case, entries: dict[str, bytes], suffix: str) -> str:
    name = case.random.choice([name for name in entries if name.endswith(suffix)])
    case.notes.append(name)
    return name


def _spoil_file(case: Case, entries: dict[str, bytes]) -> None:
    name = _pick(case, entries, "")
    entries[name] = mutate_bytes(case.random, entries[name])


def _spoil_json(case: Case, entries: dict[str, bytes]) -> None:
    name = _pick(case, entries, ".json")
    entries[name] = mutate_json(case.random, json.loads(entries[name])).encode("utf-8", "surrogatepass")


def _spoil_mask(case: Case, entries: dict[str, bytes]) -> None:
    """Another size, mode, format or other labels."""
    name, numbers = _pick(case, entries, ".png"), case.random
    values = _pixels(entries[name]).copy()
    value = numbers.choice([0, 1, 19, 43, 115, 116, 233, 234, 254, 255, 65_535])
    values[: numbers.randrange(1, values.shape[0])] = min(value, np.iinfo(values.dtype).max)
    image = Image.fromarray(values)
    mode = numbers.choice([None, None, None, "1", "L", "P", "RGB", "LA", "I", "F", "I;16"])
    side = numbers.choice([None, None, None, 1, 7, 12_000])
    if mode is not None:
        image = (
            image.convert("I").convert(mode) if mode in ("L", "I", "I;16", "F") else image.convert("L").convert(mode)
        )
    if side is not None:
        image = image.convert("L").resize((side, numbers.choice([1, 7, side])), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, numbers.choice(["PNG", "PNG", "PNG", "TIFF"]) if image.mode != "F" else "TIFF")
    case.notes.append(f"{image.mode} of {image.size}, {value}")
    entries[name] = buffer.getvalue()


def _spoil_names(case: Case, entries: dict[str, bytes]) -> None:
    """Removes, renames, doubles or exchanges files."""
    name, numbers = _pick(case, entries, ""), case.random
    parent = PurePosixPath(name).parent
    strange = [LONG, "a\nb", "\u202e", "é", "e\u0301", "._x", ".x", "a b", "-", "~", "*?[", "A.JPG", "x.jpg", "x.png"]
    kind = numbers.randrange(5)
    if kind == 0:
        del entries[name]
    elif kind == 1:
        entries[(parent / numbers.choice(strange)).as_posix()] = entries.pop(name)
    elif kind == 2:
        entries[(parent / numbers.choice(strange)).as_posix()] = entries[name]
    elif kind == 3:
        other = numbers.choice(list(entries))
        entries[name], entries[other] = entries[other], entries[name]
    else:
        for path in [path for path in entries if path.startswith(f"{parent}/")]:
            del entries[path]


def _spoil_archive(case: Case, entries: dict[str, bytes], top: str) -> bytes:
    return mutate_bytes(case.random, _packed(_tar(entries, top)))


def _spoil_tar(case: Case, entries: dict[str, bytes], top: str) -> bytes:
    return _packed(mutate_bytes(case.random, _tar(entries, top)))


def _spoil_members(case: Case, entries: dict[str, bytes], top: str) -> bytes:
    """Adds members that no dataset has, or a file twice."""
    numbers, existing = case.random, f"{top}/{_pick(case, entries, '')}"
    names = [existing, f"{existing}/x", f"{top}/x", "/tmp/x", "../x", f"{top}/../../x", LONG, f"{top}/{'d/' * 2000}x"]
    names += [f"{top}/a\nb", f"{top}/\udcff", f"{top}/images", f"{top}/._x", ".", "", f"./{existing}", "x" * 70_000]
    member = tarfile.TarInfo(numbers.choice(names))
    kinds = [tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
    member.type = numbers.choice([*kinds, tarfile.CHRTYPE, tarfile.CONTTYPE, b"Z"])
    member.linkname = numbers.choice(["", existing, "/etc/passwd", "../../x", member.name])
    member.mtime = numbers.choice([0, -1, 2**40, 1e300, 1.5])
    member.mode = numbers.choice([0o644, 0, 0o7777])
    member.uid = numbers.choice([0, 2**40])
    if numbers.random() < 0.3:
        member.pax_headers = {numbers.choice(["path", "size", "mtime", "uid", "GNU.sparse.map"]): "9" * 40}
    case.notes.append(f"{member.name[:40]!r} of type {member.type} to {member.linkname[:40]!r}")
    data = numbers.randbytes(numbers.choice([0, 1, 600])) if member.isreg() else b""
    try:
        return _packed(_tar(entries, top, [(member, data)]))
    except (ValueError, OverflowError):  # not in this format
        return _packed(_tar(entries, top))
