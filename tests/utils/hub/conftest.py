"""A Hub of our own, for this process and for new ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants

from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation

from ...models.clipseg.goldens import golden_config, golden_processor
from .endpoint import use_endpoint
from .repositories import Hub, User
from .server import serve

ROOT = Path(__file__).parents[3]
OVPARTS = ("-c", "import sys; from ovparts_hf.cli import main; sys.exit(main())")
USERS = {"hf_writer": User("me", ("ovparts",)), "hf_reader": User("me", role="read"), "hf_other": User("other")}


@dataclass
class Machine:
    """A computer whose Hub is ours, with an empty cache.

    Attributes:
        environment: Variables of its processes.
    """

    environment: dict[str, str]

    @classmethod
    def new(cls, endpoint: str, home: Path, token: str | None = None) -> Machine:
        """Sets one up."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        hub = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "DO_NOT_TRACK": "1"}
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}
        return cls({**kept, **hub, **quiet, "PYTHONPATH": str(ROOT), **({"HF_TOKEN": token} if token else {})})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts Python."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, *arguments], env=self.environment, cwd=ROOT, text=True, **streams)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs Python to a good end and returns its output."""
        with self.start(*arguments) as process:
            out, err = process.communicate(stdin)
        assert process.returncode == 0, err
        return out


@pytest.fixture(scope="module")
def hub() -> Hub:
    return Hub(USERS)


@pytest.fixture(scope="module")
def endpoint(hub: Hub) -> Iterator[str]:
    with serve(hub) as address:
        yield address


@pytest.fixture
def here(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Lets this process use our Hub; the call chooses the token."""
    use_endpoint(monkeypatch, endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def log_in(token: str | None) -> None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        if token:
            monkeypatch.setenv("HF_TOKEN", token)

    log_in("hf_writer")
    return log_in


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with its processor, as `from_pretrained` reads it; not to be changed."""
    folder = tmp_path_factory.mktemp("model")
    CLIPSegForPartSegmentation(golden_config()).save_pretrained(folder)
    golden_processor().save_pretrained(folder)
    return folder


def pushed(hub: Hub, repo_type: str, repo_id: str) -> dict[str, bytes]:
    """The files on the main revision, but for the one that every repository starts with."""
    files = dict(hub.find(repo_type, repo_id).commit().files)
    del files[".gitattributes"]
    return files


def contents(folder: Path) -> Mapping[str, bytes]:
    """The files of a folder that are not hidden, as a repository holds them."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "." not in (path.name[0], path.parent.name[:1])]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
