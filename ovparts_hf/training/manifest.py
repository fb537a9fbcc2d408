"""The manifest of a checkpoint: size and SHA-256 of each file, by which a damaged checkpoint is known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..utils.files import read_json
from .restore import EARLIER_PROGRESS_FILE, PROGRESS_FILE

MANIFEST_FILE = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Describes the files of a folder, in the folder."""
    files = {path.name: _describe(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / MANIFEST_FILE).write_text(json.dumps(files, indent=2), encoding="utf-8")


def find_damage(folder: Path) -> str | None:
    """What is wrong with the files of a checkpoint, if anything; those of earlier versions have no manifest."""
    manifest = folder / MANIFEST_FILE
    if (folder / EARLIER_PROGRESS_FILE).exists() and not manifest.exists() and not (folder / PROGRESS_FILE).exists():
        return None
    try:
        files = read_json(manifest, CheckpointError, name=MANIFEST_FILE)
        if not isinstance(files, dict) or PROGRESS_FILE not in files:
            return f"{MANIFEST_FILE} does not list its files"
        for name, description in files.items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if _describe(folder / name) != description:
                return f"{name} is not as it was saved"
    except (CheckpointError, OSError) as error:
        return str(error)
    return None


def _describe(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}
