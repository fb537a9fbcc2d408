"""Release archives: unpacked safely and completely, or refused with one clear error."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from ...errors import DatasetError
from ...utils.files import first_line

_BROKEN_ARCHIVE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
_BLOCK = 1 << 20


def is_junk(path: str | PurePosixPath) -> bool:
    """Whether some component of a path starts with "._", as the companion files of macOS do."""
    return any(part.startswith("._") for part in PurePosixPath(path).parts)


def unpack(archive: Path, folder: Path, progress: bool = False) -> None:
    """Extracts a .tar.gz file, less the companion files of macOS, reading it once to the end, checksum included.

    A member that is a link or a device or would land outside `folder` is refused; `folder` then holds some of the
    content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = archive.stat().st_size
    try:
        with (
            archive.open("rb") as raw,
            tqdm.wrapattr(raw, "read", total=size, desc=f"Unpacking {archive.name}", disable=not progress) as counted,
            gzip.GzipFile(fileobj=counted) as stream,
            tarfile.open(fileobj=stream, mode="r|") as members,
        ):
            for member in members:
                if not is_junk(member.name):
                    _check_member(member, archive)
                    members.extract(member, folder, filter="data")
            while stream.read(_BLOCK):  # what follows the last member carries the checksum
                pass
    except _BROKEN_ARCHIVE as error:
        fault = f"is not a whole .tar.gz archive ({first_line(error)})"
        raise DatasetError(f"{archive} {fault}. Download it again.") from error


def fingerprint(source: Path, entries: Iterable[str] = ("",)) -> str:
    """Identifies the bytes of an archive; or of a folder, the names, sizes and times of the files in `entries`."""
    digest = hashlib.sha256()
    if source.is_file():
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()
    for path in sorted(file for entry in entries for file in _files(source / entry)):
        state = path.stat()
        digest.update(json.dumps([path.relative_to(source).as_posix(), state.st_size, state.st_mtime_ns]).encode())
    return digest.hexdigest()


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    path = PurePosixPath(member.name)
    fault = None
    if path.is_absolute() or ".." in path.parts:
        fault = "which would be written outside the target"
    elif not (member.isreg() or member.isdir()):
        fault = "which is a link or a device; a dataset has files and folders only"
    if fault:
        raise DatasetError(f"{archive} holds {member.name!r}, {fault}. Do not use it.")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and not is_junk(file.relative_to(path).as_posix())]
