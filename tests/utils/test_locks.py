"""A lock has one holder at a time, who is named, and does not outlive that process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.utils.locks import scratch_folder, writer_lock

HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from ovparts_hf.utils.locks import writer_lock
path = Path(sys.argv[1])
with writer_lock(path, path.parent):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()  # outlives a killed parent, as a loading process may for some seconds
    print(worker.pid, flush=True)
    sys.stdin.read()
    worker.kill()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds a lock, and has a child."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=pipe, stdout=pipe, text=True) as process:
        child = int(process.stdout.readline())
        try:
            yield process
        finally:
            process.stdin.close()
            if process.wait(60):  # killed; else it has ended its child itself, whose number may be another's by now
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def test_the_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    with other_process(path) as process:
        holder = f"process {process.pid} on {socket.gethostname()}"
        for _ in range(2):  # a refused writer does not break the lock
            refused = pytest.raises(ConfigurationError, match=f"{holder}, which holds the lock {path}. Wait until")
            with refused, writer_lock(path, path.parent):
                raise AssertionError("locked twice")
    with writer_lock(path, path.parent):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "run" / ".lock"
    with other_process(path) as process:
        process.kill()
        process.wait(60)
        assert path.exists()
        with writer_lock(path, path.parent):
            assert json.loads(path.read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}
    assert f"Process {process.pid} on {socket.gethostname()} left the lock" in caplog.text
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00\x00"])
def test_any_left_file_is_taken_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".lock"
    path.write_text(content)
    with writer_lock(path, tmp_path):
        assert path.exists()
    assert not path.exists()


def test_one_process_does_not_lock_twice(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with writer_lock(path, tmp_path):
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"), writer_lock(path, tmp_path):
            pass
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("leave", [lambda folder: None, lambda folder: (folder / "kept").touch()])
def test_a_folder_made_for_the_lock_stays_only_if_used(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError), writer_lock(folder / ".lock", folder):
        leave(folder)
        raise RuntimeError
    assert folder.exists() == bool(list(tmp_path.rglob("kept")))
    tmp_path.joinpath("own").mkdir()
    with writer_lock(tmp_path / "own" / ".lock", folder):
        pass
    assert (tmp_path / "own").exists()


def test_a_temporary_folder_outlives_only_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, alive, others = (tmp_path / name for name in ("ovparts-test-left", "ovparts-test-alive", "ovparts-test-else"))
    others.mkdir()
    with other_process(left / ".lock") as process:
        process.kill()
        process.wait(60)
        (left / "unpacked").touch()
        with other_process(alive / ".lock"), scratch_folder("ovparts-test-") as folder:
            assert {path.name for path in tmp_path.iterdir()} == {folder.name, alive.name, others.name}
            with scratch_folder("ovparts-test-") as second:
                assert second != folder and folder.exists()
        assert not folder.exists()


def test_only_one_of_many_gets_in(tmp_path: Path) -> None:
    path, inside, most, refused = tmp_path / ".lock", [], [], []

    def work() -> None:
        for _ in range(50):
            try:
                with writer_lock(path, tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except ConfigurationError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1} and len(most) + len(refused) == 200
