"""Writing files so that a reader never meets a half-written one."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes the name `path` once the block has ended without an error.

    Missing parent folders are made. The temporary name keeps the suffix, from which some writers choose a format. After
    an error nothing is left behind and an existing `path` is as it was.

    Args:
        path: The file to write.

    Yields:
        Where to write it; the block must create this file.

    Example:
        >>> with atomic_write("outputs/result.json") as temporary:
        ...     temporary.write_text("{}")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """As `atomic_write`, for a folder: yields an empty one that takes the name `path` once the block has ended.

    Args:
        path: The folder to make; an earlier one is replaced as a whole.

    Yields:
        The folder to fill.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        new, old = temporary / "new", temporary / "old"
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
