"""The tests of the installed transformers, from its source distribution, kept in a folder outside of the repository."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
import transformers
from filelock import FileLock

from ovparts_hf.utils.files import atomic_folder

CACHE = "OVPARTS_CONFORMITY_CACHE"
"""Environment variable that names another folder for transformers' tests."""
ALL = "OVPARTS_CONFORMITY_ALL"
"""Environment variable that is set where all tests run, those too that take long."""
_PACKAGE = "transformers_tests"
_LEFT_OUT = {
    "exporters.test_export": {"ExportTesterMixin": type("ExportTesterMixin", (), {})},
    "generation.test_utils": {"GenerationTesterMixin": type("GenerationTesterMixin", (), {})},
    "utils.test_configuration_utils": {"config_common_kwargs": {}},
}
"""What the tests import and the source distribution does not have."""


def load(name: str) -> ModuleType:
    """A module of transformers' tests, such as "test_modeling_common"; skips the calling file if it cannot be had."""
    try:
        folder = fetch()
        if _PACKAGE not in sys.modules:
            _make_package(folder)
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        pytest.skip(f"The tests of transformers {transformers.__version__}: {error}", allow_module_level=True)


def fetch() -> Path:
    """The folder of the tests of the installed transformers, which are downloaded if they are not there yet."""
    cache = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "ovparts_hf" / "conformity")
    name = f"transformers-{transformers.__version__}"
    folder = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if not folder.exists():
            _download(name, folder)
    return folder / "tests"


def _download(name: str, folder: Path) -> None:
    requirement = f"transformers=={transformers.__version__}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", requirement]
    with tempfile.TemporaryDirectory() as download, atomic_folder(folder) as new:
        subprocess.run([*command, "--dest", download], check=True, timeout=300, stdin=subprocess.DEVNULL)
        with tarfile.open(Path(download, f"{name}.tar.gz")) as archive:
            for member in archive:
                member.name = member.name.removeprefix(f"{name}/")
                if member.name.startswith("tests/"):
                    archive.extract(member, new, filter="data")


def _make_package(folder: Path) -> None:
    """Makes the folder importable by a name of its own: "tests" is this repository's."""
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[_PACKAGE] = package
    for name, content in _LEFT_OUT.items():
        if not folder.joinpath(*name.split(".")).with_suffix(".py").exists():
            module = ModuleType(f"{_PACKAGE}.{name}")
            vars(module).update(content)
            sys.modules[module.__name__] = module
