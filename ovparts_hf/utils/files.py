"""Files: written so that a reader never meets a half-written one, read with an error that says why, and templates."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OVPartsError
from .content import recognise_file

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = Path(__file__).parents[1]
_BRIEF, _LINE = 120, 600  # characters
_NOT_UTF8 = "is not UTF-8"
_MAX_NAME, _MAX_PATH = 255, 4000  # bytes, on the usual file systems
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def user_path(path: str | Path) -> Path:
    """A path as a shell reads it: `~` is the user's home; `~name` stays as it is if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  where pathlib raises


def public_name(name: str) -> str:
    """A name or relative path as it is; of any other path what a reader needs: "toy/trained", "my-run/last"."""
    path = user_path(name)
    if not path.is_absolute() and ".." not in path.parts:
        return name
    if path.is_relative_to(_PACKAGE):
        return path.relative_to(_PACKAGE).as_posix()
    return "/".join(path.parts[-2:] if path.name in ("last", "best") else path.parts[-1:])


def resolve_path(path: str | Path, error: type[OVPartsError]) -> Path:
    """The absolute path that a user means; what no file can be called raises `error`."""
    path = user_path(path)
    fault = name_fault(str(path))
    if fault and fault != _NOT_UTF8:
        raise error(f"{brief(str(path))} {fault}. Give another path.")
    return path.resolve()


def name_fault(path: str) -> str | None:
    """What keeps a path from being the name of a file everywhere, to follow it; None if nothing does."""
    if "\0" in path:
        return "holds a NUL character"
    names = path.encode("utf-8", "surrogatepass").split(b"/")
    if max(map(len, names)) > _MAX_NAME or sum(map(len, names)) + len(names) > _MAX_PATH:
        return f"is longer than {_MAX_NAME} bytes in a name, or {_MAX_PATH} in all"
    return None if is_unicode(path) else _NOT_UTF8


def is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, as Python makes of bytes that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_json(
    path: str | Path, error: type[OVPartsError], advice: str = "", name: str | None = None, **options: Any
) -> Any:
    """Reads a JSON file in UTF-8, with or without a byte order mark; `options` are those of `json.loads`.

    A file that is unreadable or not valid raises `error`, which calls it `name` or by its path and ends with `advice`.
    """
    try:
        return json.loads(user_path(path).read_text(encoding="utf-8-sig"), **options)
    except (OSError, ValueError, RecursionError) as cause:
        fault = "cannot be read" if isinstance(cause, OSError) else "is not valid JSON"
        reason = getattr(cause, "strerror", None) or first_line(cause)
        kind = recognise_file(user_path(path))
        reason = f"it is {kind}" if kind else reason
        raise error(f"{name or path} {fault}: {reason}{f'. {advice}' if advice else ''}") from cause


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook` of `json.loads` that refuses a key which occurs twice, where Python keeps the last."""
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"{brief(twice)} occurs twice")
    return values


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that is not blank, shortened; or else the exception's name."""
    lines = (line.strip() for line in str(error).splitlines())
    return shorten(next((line for line in lines if line), type(error).__name__), _LINE)


def brief(value: Any) -> str:
    """`repr` of what an untrusted file holds, shortened in the middle."""
    return shorten(repr(value), _BRIEF)


def shorten(text: str, length: int) -> str:
    """A text without its middle if it is longer than `length`."""
    return text if len(text) <= length else f"{text[: length // 2]}...{text[-length // 4 :]}"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes the name `path` once the block has ended without an error.

    Missing parent folders are made. The temporary name keeps the suffix, from which some writers choose a format. After
    an error nothing is left behind and an existing `path` is as it was; what a killed process left is removed.
    """
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, path.stem, path.suffix)
    try:
        yield temporary
        replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Like `atomic_write`, for a folder: yields an empty one, which replaces an earlier one as a whole."""
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, path.name, "")
    temporary.mkdir()
    try:
        yield temporary
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path, stem: str, suffix: str) -> Path:
    """A new hidden name beside `path`, after removing what killed processes of this machine left under such names."""
    ours = re.compile(rf"\.{re.escape(stem)}\.{_HOST}-(\d+)-[0-9a-f]{{6}}{re.escape(suffix)}(\.old)?")
    for name in os.listdir(path.parent):  # noqa: PTH208  only names are needed
        match = ours.fullmatch(name)
        if match and not _is_running(int(match[1])):
            left = path.with_name(name)
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{stem}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:6]}{suffix}")


def _is_running(pid: int) -> bool:
    """Whether there is such a process; True where that cannot be known."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def replace_file(new: Path, target: Path) -> None:
    """Renames the file `new` to `target`, on the same file system, once its content is on the disk."""
    sync(new)
    new.replace(target)
    sync(target.parent)


def replace_folder(new: Path, target: Path) -> None:
    """Renames the folder `new` to `target`, on the same file system, once its content is on the disk.

    An earlier `target` is removed afterwards.
    """
    sync_folder(new)
    old = new.with_name(f"{new.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Waits until a folder and all that is in it are on the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))


def sync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk: a rename alone may overtake them."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder may be writable but not readable
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def template_environment(package: str, autoescape: bool, folders_of: str | None = None) -> Environment:
    """The files in `templates/` of a package; anything that a template misses is an error.

    With the name of another package, `folders_of`, also "folder/file" in that.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    loaders = [PackageLoader(package), *([PackageLoader(folders_of, "")] if folders_of else [])]
    return Environment(loader=ChoiceLoader(loaders), autoescape=autoescape, **options)
