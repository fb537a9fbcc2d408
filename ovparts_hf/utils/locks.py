"""Locks: a folder is written by one process at a time."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ..errors import ConfigurationError

try:
    import fcntl
except ImportError:  # on Windows, where nothing is locked
    fcntl = None

logger = logging.getLogger(__name__)

_SCRATCH_LOCK = ".lock"
_guard = threading.Lock()
_held: set[Path] = set()  # by this process, which the operating system would not keep from locking twice


@contextmanager
def writer_lock(path: Path, target: Path) -> Iterator[None]:
    """Holds the lock file `path` of `target` while the block runs; a second writer is told who holds it.

    The lock is the operating system's: it ends with the process, however that ends, and the file that is left then
    says only who held it last. Missing parent folders are made; the innermost is removed again if nothing is in it.
    """
    path = path.absolute()
    own = {"pid": os.getpid(), "host": socket.gethostname()}
    with _guard:
        if path in _held:
            raise _refusal(target, own, path)
        _held.add(path)
    made = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _acquire(path, target) as file:
            earlier = _read_holder(file)
            if earlier:
                text = "Process %s on %s left the lock of %s behind, which is taken over."
                logger.warning(text, earlier.get("pid"), earlier.get("host"), target)
            file.truncate(0)
            file.write(json.dumps(own))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
    finally:
        if made:
            with suppress(OSError):  # something is in it
                path.parent.rmdir()
        _held.discard(path)


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder, removed when the block ends; those that killed processes of this user left are removed, too.

    The lock in a folder tells whether its process is alive.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*") if fcntl is not None else ():
        with suppress(ConfigurationError, OSError):
            if left.lstat().st_uid == os.getuid() and (left / _SCRATCH_LOCK).is_file():
                with writer_lock(left / _SCRATCH_LOCK, left):
                    shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, writer_lock(Path(name, _SCRATCH_LOCK), Path(name)):
        yield Path(name)


def _acquire(path: Path, target: Path) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if fcntl is not None:
                # Unlike flock's, these locks are not inherited: workers that outlive a killed process do not hold them.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                with file:
                    raise _refusal(target, _read_holder(file), path) from error
            logger.warning("%s cannot be locked (%s); let no other process write there.", target, error.strerror)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # its holder has just removed it


def _read_holder(file: TextIO) -> dict[str, object]:
    file.seek(0)
    with suppress(ValueError):
        holder = json.loads(file.read())
        if isinstance(holder, dict):
            return holder
    return {}


def _refusal(target: Path, holder: dict[str, object], path: Path) -> ConfigurationError:
    who = f"process {holder['pid']} on {holder['host']}" if holder.keys() >= {"pid", "host"} else "another process"
    return ConfigurationError(
        f"{target} is being written by {who}, which holds the lock {path}. Wait until it has ended, or name another "
        "folder."
    )
