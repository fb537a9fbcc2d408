"""Damage to a release: to its files, their names, and the archive around them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from .mutations import mutate_bytes, mutate_json
from .runner import Case

LONG = "x" * 300


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def write_folder(entries: dict[str, bytes], folder: Path) -> None:
    for name, data in entries.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except (OSError, ValueError):  # no file can have this name
            continue


def packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 1)


def as_tar(entries: dict[str, bytes], top: str, extra: Sequence[tuple[tarfile.TarInfo, bytes]] = ()) -> bytes:
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


def spoil_file(case: Case, entries: dict[str, bytes]) -> None:
    name = _pick(case, entries, "")
    entries[name] = mutate_bytes(case.random, entries[name])


def spoil_json(case: Case, entries: dict[str, bytes]) -> None:
    name = _pick(case, entries, ".json")
    entries[name] = mutate_json(case.random, json.loads(entries[name])).encode("utf-8", "surrogatepass")


def spoil_mask(case: Case, entries: dict[str, bytes]) -> None:
    """Another size, mode, format or other labels."""
    name, numbers = _pick(case, entries, ".png"), case.random
    values = pixels(entries[name]).copy()
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


def spoil_names(case: Case, entries: dict[str, bytes]) -> None:
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


def spoil_archive(case: Case, entries: dict[str, bytes], top: str) -> bytes:
    return mutate_bytes(case.random, packed(as_tar(entries, top)))


def spoil_tar(case: Case, entries: dict[str, bytes], top: str) -> bytes:
    return packed(mutate_bytes(case.random, as_tar(entries, top)))


def spoil_members(case: Case, entries: dict[str, bytes], top: str) -> bytes:
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
        return packed(as_tar(entries, top, [(member, data)]))
    except (ValueError, OverflowError):  # not in this format
        return packed(as_tar(entries, top))
