"""Shared fixtures: the two fixture archives, and prepared once for all tests."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="ovparts-tests-")  # read when `datasets` is imported
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads that wait for each other on a busy machine lose more
os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")  # nor do threads that read tiny weights gain anything
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of the many processes would compile package and tests again
sys.dont_write_bytecode = False
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored

from .garbage import look_less_often  # noqa: E402

look_less_often()

import hypothesis  # noqa: E402
import pytest  # noqa: E402

from ovparts_hf.data.part_dataset import PartDataset  # noqa: E402
from ovparts_hf.data.preparation.repository import write_repository  # noqa: E402
from ovparts_hf.dataset_builders import ADE20KPart234, PascalPart116, ToyGarden  # noqa: E402

# The same examples each time, however long one takes on a busy machine; `--hypothesis-profile default` draws others.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_collection_finish() -> None:
    """Spares garbage collection what lives until the end anyway, such as modules and tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, which tests that wait for a browser or a server leave idle."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files go to processes as a whole, and those of the browser together: they share it, and the server."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "browser" if file.endswith("_in_browser.py") else file

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Says what a worker process died of, since it cannot."""
    process = getattr(node.gateway._io, "popen", None)
    if error and process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            print(f"\n[{node.gateway.id}] exit code {process.wait(10)}; negative is the signal's number")  # noqa: T201


@pytest.fixture(scope="session")
def pascal_archive() -> Path:
    return FIXTURES / "PascalPart116.tar.gz"


@pytest.fixture(scope="session")
def ade_archive() -> Path:
    return FIXTURES / "ADE20KPart234.tar.gz"


@pytest.fixture(scope="session")
def pascal_folder(pascal_archive, tmp_path_factory) -> Path:
    """Pascal-Part-116's fixture, prepared; not to be changed."""
    out = tmp_path_factory.mktemp("prepared") / "pascal"
    return write_repository(PascalPart116(data_dir=pascal_archive), out, progress=False)


@pytest.fixture(scope="session")
def ade_folder(ade_archive, tmp_path_factory) -> Path:
    """ADE20K-Part-234's fixture, prepared; not to be changed."""
    out = tmp_path_factory.mktemp("prepared") / "ade"
    return write_repository(ADE20KPart234(data_dir=ade_archive), out, progress=False)


@pytest.fixture(scope="session")
def garden_folder(tmp_path_factory) -> Path:
    """A toy garden of a few images, prepared; not to be changed."""
    out = tmp_path_factory.mktemp("prepared") / "garden"
    return write_repository(ToyGarden({"train": 12, "validation": 8}), out, progress=False)


@pytest.fixture(scope="session")
def garden_with_one_to_score(tmp_path_factory) -> Path:
    """The same with a single validation image, fewer than could be held out of the others."""
    out = tmp_path_factory.mktemp("prepared") / "garden"
    return write_repository(ToyGarden({"train": 12, "validation": 1}), out, progress=False)


@pytest.fixture(scope="session")
def pascal(pascal_folder) -> PartDataset:
    return PartDataset.load(pascal_folder)


@pytest.fixture(scope="session")
def ade(ade_folder) -> PartDataset:
    return PartDataset.load(ade_folder)
