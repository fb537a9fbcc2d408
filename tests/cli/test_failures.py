"""What the machine does not do is a sentence, and is noticed early."""

import errno
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from ovparts_hf import cli
from ovparts_hf.cli.failures import check_writable
from ovparts_hf.errors import ConfigurationError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/a"), "out/a: No space left on device. Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied. Change who may use it"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: Read-only file system. Change who"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xxx"), "xxx: File name too long. Give a shorter name"),
        (MemoryError(), "There is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to"), "There is not enough memory"),
        (BrokenProcessPool("A process in the process pool was terminated"), "A worker process has ended"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "A worker process has ended"),
        (RuntimeError("One of the subprocesses has abruptly died during map"), "A worker process has ended"),
        (cli.SafetensorError("IO Error: No space left on device (os error 28)"), "Writing failed (IO Error"),
    ],
)
def test_what_the_machine_fails_at_is_a_sentence(error, message, monkeypatch, capsys):
    def fail(*_args):
        raise error

    monkeypatch.setattr("ovparts_hf.data.part_dataset.PartDataset.load", fail)
    assert cli.main(["submit-format", "data", "out"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"ovparts: {message}") and said.count("\n") == 1


def test_a_fault_of_the_library_keeps_its_traceback(monkeypatch):
    def fail(*_args):
        raise RuntimeError("a shape does not fit")

    monkeypatch.setattr("ovparts_hf.data.part_dataset.PartDataset.load", fail)
    with pytest.raises(RuntimeError, match="a shape"):
        cli.main(["submit-format", "data", "out"])


def test_outputs_are_probed_before_the_work(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("ovparts_hf.data.part_dataset.PartDataset.load", lambda *_: pytest.fail("too late"))
    for out in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        for arguments in (["evaluate", "toy-trained", "data"], ["score", "folder", "data"]):
            assert cli.main([*arguments, "--out", str(out)]) == 1
            assert "Nothing can be written to" in capsys.readouterr().err
    check_writable(tmp_path / "a" / "b")
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
    with pytest.raises(ConfigurationError, match="File exists"):
        check_writable(tmp_path / "file")


def test_exit_codes_are_documented(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "Exit codes: 0 success; 1" in " ".join(capsys.readouterr().out.split())
