"""What `ovparts predict` is pointed at, and where its results go."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError
from ..utils.files import user_path

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


def is_video(source: str) -> bool:
    """Whether a file is read as a video, by its name; a URL never is."""
    return not _is_url(source) and source.lower().endswith(VIDEOS)


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def find_images(sources: Sequence[str], out: Path) -> Iterator[tuple[str, Path]]:
    """The images of files, folders, globs and URLs, except in `out`, each with a path to name its results by.

    Videos are among them if they are named or match a glob, not if they lie in a folder.
    """
    from ..utils.images import find_images_below

    for source in sources:
        path = user_path(source)
        if _is_url(source):
            name = Path(unquote(urlsplit(source).path)).name
            yield source, Path(name if name.strip(".") else "image")
        elif os.path.isdir(path):  # noqa: PTH112  is False, where pathlib raises, for a name that is too long
            files = [(str(file), file.relative_to(path)) for file in find_images_below(path, out)]
            if not files:
                raise ConfigurationError(f"There is no image in {source}.")
            yield from files
        elif os.path.exists(path) or not glob.has_magic(source):  # noqa: PTH110
            yield str(path), Path(path.name)
        else:
            matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  may be absolute
            matches = [file for file in matches if file.is_file()]
            if not matches:
                raise ConfigurationError(f"Nothing matches {source!r}.")
            yield from ((str(file), Path(file.name)) for file in matches)


def result_folders(images: Sequence[tuple[str, Path]], out: Path) -> dict[str, Path]:
    """Gives each image a folder of its own: its name without the suffix if that is unique, or else with it."""
    names = dict(reversed(images))  # the first name of an image that is listed twice
    stems = Counter(name.with_suffix("") for name in names.values())
    folders: dict[str, Path] = {}
    used: set[Path] = set()
    for image in dict.fromkeys(image for image, _ in images):
        name, stem = names[image], names[image].with_suffix("")
        folder = preferred = stem if stems[stem] == 1 else name
        number = 1
        while folder in used:
            number += 1
            folder = preferred.with_name(f"{preferred.name}-{number}")
        used.add(folder)
        folders[image] = out / folder
    return folders
