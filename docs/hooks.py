"""For mkdocs: the site carries the files of the repository that its pages link to, and links lead to them there.

In the repository, pages link to `../README.md` or `../model_cards/x.md`, outside of this folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
_DOCS, _CARRIED = "docs/", "repository/"
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FOLDERS = {"model_cards": "docs/models.md"}
"""Folders without a page of their own, and the page that lists what is in them."""


def on_files(files: Files, config: Any) -> Files:
    """Adds the files outside of docs/ that pages link to, and those that these link to."""
    from mkdocs.structure.files import File

    pages = [file.src_uri for file in files.documentation_pages()]
    while pages:
        page = pages.pop()
        for path in _targets(_repository_path(page)):
            uri = _site_uri(path)
            if uri is not None and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
                if path.endswith(".md"):
                    pages.append(uri)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to files of the repository into links to where the site has them."""
    here = page.file.src_uri
    folder = posixpath.dirname(_repository_path(here))

    def replace(match: re.Match[str]) -> str:
        uri = _site_uri(_resolve(folder, match[1]))
        return match[0] if uri is None else posixpath.relpath(uri, posixpath.dirname(here)) + (match[2] or "")

    return _LINK.sub(replace, markdown)


def _targets(page: str) -> Iterator[str]:
    """The paths in the repository that a page links to."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return (_resolve(posixpath.dirname(page), match[1]) for match in _LINK.finditer(text))


def _resolve(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(folder, target))


def _repository_path(uri: str) -> str:
    return uri.removeprefix(_CARRIED) if uri.startswith(_CARRIED) else _DOCS + uri


def _site_uri(path: str) -> str | None:
    """Where the site has a path of the repository; None for what does not exist, which mkdocs then reports."""
    path = _FOLDERS.get(path, path)
    if (ROOT / path / "README.md").is_file():
        path = posixpath.join(path, "README.md")
    if path.startswith("..") or not (ROOT / path).is_file():
        return None
    return path.removeprefix(_DOCS) if path.startswith(_DOCS) else _CARRIED + path
