"""What the machine does not do, in a sentence: files, memory and processes."""

from __future__ import annotations

import errno
import os
import tempfile
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigurationError
from ..utils.files import first_line

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free some space, or write elsewhere."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Change who may use it, or name another place."),
    errno.ENAMETOOLONG: "Give a shorter name.",
}
_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")
_WORKERS = ("DataLoader worker", "abruptly died")
_DISK = ("No space left", "Disk quota", "PytorchStreamWriter failed", "unexpected pos")


def describe_failure(error: Exception) -> str | None:
    """The sentence for an error that is the machine's; None for any other, which is a fault of this library."""
    text, name = str(error), getattr(error, "filename", None)
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY):
        return "There is not enough memory. Work on less at once: a smaller batch, fewer workers, smaller images."
    if isinstance(error, OSError):
        reason = error.strerror or first_line(error)
        advice = _ADVICE.get(error.errno, "")
        return f"{'' if name is None else f'{name}: '}{reason}{f'. {advice}' if advice else ''}"
    if isinstance(error, BrokenExecutor) or any(words in text for words in _WORKERS):
        return "A worker process has ended, as when memory or shared memory runs out. Use fewer workers or processes."
    if any(words in text for words in _DISK):
        return f"Writing failed ({first_line(error)}). {_ADVICE[errno.ENOSPC]}"
    return None


def check_writable_file(path: Path) -> None:
    """`check_writable` for the folder of a file, which may exist already."""
    if os.path.isdir(path):  # noqa: PTH112  is False, where pathlib may raise, for a name that is too long
        raise ConfigurationError(f"{path} is a folder; name a file.")
    check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be made or written to, before the work; nothing is left there."""
    if os.environ.get("RANK", "0") != "0":  # another process does it
        return
    made: list[Path] = []
    try:
        for path in reversed([folder, *folder.parents]):
            if not os.path.isdir(path):  # noqa: PTH112  is False, where pathlib may raise, for a name that is too long
                path.mkdir()
                made.append(path)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can be written to {folder} ({error.strerror}). Name another place."
        ) from error
    finally:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
