"""What a fresh process runs for `test_remote_code.py`: loads saved folders as a stranger does, and writes what it got.

The first argument says how: "trust" (`trust_remote_code=True`), "import" (`import ovparts_hf` instead), or "missing"
(trusting, but the package is not installed); the others are folders.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForSemanticSegmentation,
    AutoProcessor,
    pipeline,
)

AUTO_CLASSES = (AutoProcessor, AutoImageProcessor, AutoConfig, AutoModel, AutoModelForSemanticSegmentation)


class Hide:
    """A finder that knows of no such package."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "ovparts_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(how: str, *folders: str) -> None:
    options: dict[str, Any] = {} if how == "import" else {"trust_remote_code": True}
    if how == "import":
        import ovparts_hf  # noqa: F401
    if how == "missing":
        sys.meta_path.insert(0, Hide())
    found: dict[str, dict[str, str]] = {}
    for number, folder in enumerate(folders):
        # Each folder begins with another class: the first one that is loaded imports the package.
        order = [*AUTO_CLASSES[number:], *AUTO_CLASSES[:number]]
        found[folder] = {each.__name__: attempt(each, folder, options) for each in order}
        if how != "missing":
            found[folder]["pipeline"] = type(pipeline("part-segmentation", folder, device="cpu", **options)).__name__
    sys.stdout.write(json.dumps(found))


def attempt(auto_class: Any, folder: str, options: dict[str, Any]) -> str:
    """Loads, saves what was loaded, and names it; or says what went wrong."""
    try:
        loaded = auto_class.from_pretrained(folder, **options)
        loaded.save_pretrained(f"{folder}-again-{auto_class.__name__}")
    except (ImportError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{type(loaded).__module__}.{type(loaded).__name__}"


if __name__ == "__main__":
    main(*sys.argv[1:])
