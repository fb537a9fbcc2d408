"""Saved folders that transformers can load without this package having been imported."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

SHIM = resources.files(__package__) / "ovparts_auto.py"
"""The file that is saved along: it imports this package, and says what to do where it is missing."""


class AutoMapped:
    """Mixin of configurations and processors: with what they save goes `auto_map`, and the file that it points to.

    It stands before transformers' class. Whatever is saved or pushed passes through `to_json_file`.

    Attributes:
        auto_classes: From transformers' Auto classes to the names of this package's classes.
    """

    auto_classes: ClassVar[Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """See transformers; with `auto_map`, which a loaded object may have from elsewhere."""
        module = Path(SHIM.name).stem
        return {**super().to_dict(), "auto_map": {auto: f"{module}.{name}" for auto, name in self.auto_classes.items()}}

    def to_json_file(self, json_file_path: str | Path, **kwargs: Any) -> None:
        """See transformers; saves `SHIM` beside the file."""
        super().to_json_file(json_file_path, **kwargs)
        with resources.as_file(SHIM) as path:
            shutil.copyfile(path, Path(json_file_path).with_name(SHIM.name))

    @classmethod
    def register_for_auto_class(cls, auto_class: str | None = None) -> None:
        """Does nothing: transformers would save the source of the class itself, which needs the rest of the package."""
