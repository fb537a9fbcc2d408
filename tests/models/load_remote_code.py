"""What a fresh process runs for `test_remote_code.py`: loads saved folders as a stranger does, and writes what it got.

It does so in several ways, each in a fork of its own, which spares importing transformers again: "missing"
(`trust_remote_code=True`, but the package is not installed), "trust" (and it is), and "import" (`import ovparts_hf`
instead). What was found goes to `<way>.json` in the working directory, and what was complained about to `<way>.stderr`.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.garbage import look_less_often

look_less_often()

from transformers import (  # noqa: E402
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForSemanticSegmentation,
    AutoProcessor,
    pipeline,
)

WAYS = ("missing", "trust", "import")
AUTO_CLASSES = (AutoProcessor, AutoImageProcessor, AutoConfig, AutoModel, AutoModelForSemanticSegmentation)


class Hide:
    """A finder that knows of no such package."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "ovparts_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(*folders: str) -> None:
    assert "ovparts_hf" not in sys.modules
    warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which are idle when the process forks
    for how in WAYS:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        with Path(f"{how}.stderr").open("w") as stderr:
            os.dup2(stderr.fileno(), sys.stderr.fileno())
        try:
            Path(f"{how}.json").write_text(json.dumps(load_all(how, folders)))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)


def load_all(how: str, folders: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """By folder, what each Auto class makes of it."""
    options: dict[str, Any] = {} if how == "import" else {"trust_remote_code": True}
    if how == "import":
        import ovparts_hf  # noqa: F401
    if how == "missing":
        sys.meta_path.insert(0, Hide())
    found: dict[str, dict[str, str]] = {}
    for number, folder in enumerate(folders):
        # Each folder begins with another class: the first one that is loaded imports the package.
        order = [*AUTO_CLASSES[number:], *AUTO_CLASSES[:number]]
        found[folder] = {each.__name__: attempt(each, folder, how, options) for each in order}
        if how != "missing":
            found[folder]["pipeline"] = type(pipeline("part-segmentation", folder, device="cpu", **options)).__name__
    return found


def attempt(auto_class: Any, folder: str, how: str, options: dict[str, Any]) -> str:
    """Loads, saves what was loaded, and names it; or says what went wrong."""
    try:
        loaded = auto_class.from_pretrained(folder, **options)
        loaded.save_pretrained(f"{folder}-again-{auto_class.__name__}-{how}")
    except (ImportError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{type(loaded).__module__}.{type(loaded).__name__}"


if __name__ == "__main__":
    main(*sys.argv[1:])
