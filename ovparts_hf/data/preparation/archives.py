"""Release archives: unpacked safely and completely, or refused with one clear error."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from ...errors import DatasetError
from ...utils.content import recognise_file
from ...utils.files import brief, first_line, name_fault

# what reading damaged or hostile members raises; `struct.error` and Unicode errors among them
_BROKEN_ARCHIVE = (tarfile.TarError, zlib.error, EOFError, ValueError, ArithmeticError, LookupError, struct.error)
_BLOCK = 1 << 20
_LATEST = 2**31 - 1  # seconds since 1970, as far as every file system goes


def is_junk(path: str | PurePosixPath) -> bool:
    """Whether some component of a path starts with "._", as the companion files of macOS do."""
    return any(part.startswith("._") for part in PurePosixPath(path).parts)


def content_hint(folder: Path) -> str:
    """A sentence about what in a folder may be the release, if only it were unpacked or converted; or nothing."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        kind = None if is_junk(path.name) or not path.is_file() else recognise_file(path)
        if kind and ("archive" in kind or "MATLAB" in kind):
            return f" {path.name} in it is {kind}."
    return ""


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
                    _extract(members, member, folder, archive)
            while stream.read(_BLOCK):  # what follows the last member carries the checksum
                pass
    except (*_BROKEN_ARCHIVE, gzip.BadGzipFile, RecursionError, MemoryError) as error:
        kind = recognise_file(archive)
        if kind and "gzip" not in kind:
            raise DatasetError(f"{archive} is not a whole .tar.gz archive; it is {kind}.") from error
        fault = f"is not a whole .tar.gz archive ({first_line(error)})"
        raise DatasetError(f"{archive} {fault}. Download it again.") from error


def _extract(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    member.mtime = member.mtime if 0 <= member.mtime <= _LATEST else 0
    try:
        members.extract(member, folder, filter="data")
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        fault = "which is a file in one place of the archive and a folder in another"
        raise DatasetError(f"{archive} holds {member.name!r}, {fault}. Do not use it.") from error
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise DatasetError(f"{archive} cannot be unpacked: {member.name!r}: {error.strerror or error}.") from error


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
    fault = name_fault(member.name)
    if fault:
        fault = f"whose name {fault}"
    elif path.is_absolute() or ".." in path.parts:
        fault = "which would be written outside the target"
    elif not (member.isreg() or member.isdir()):
        fault = "which is a link or a device; a dataset has files and folders only"
    if fault:
        name = brief(member.name)
        raise DatasetError(f"{archive} holds {name}, {fault}. Do not use it.")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and not is_junk(file.relative_to(path).as_posix())]
