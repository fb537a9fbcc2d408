"""What the machine does not do is a sentence, and is noticed early."""

import errno
import logging
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from ovparts_hf import cli
from ovparts_hf.cli.failures import check_writable
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import ModelSource
from ovparts_hf.taxonomy import PASCAL_PART_116, PartTaxonomy
from ovparts_hf.training import TrainArguments
from ovparts_hf.utils.files import atomic_write


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
        for arguments in (
            ["evaluate", "toy-trained", "data", "--out", str(out)],
            ["score", "folder", "data", "--out", str(out)],
            ["submit-format", "data", str(out)],
            ["few-shot", "data", str(out / "list.json")],
            ["report", "result", "--out", str(out / "report.html")],
            ["predict", "image.png", "--parts", "dog: head", "--model", "no/such-model", "--out", str(out)],
            ["card", "--out", str(out)],
        ):
            assert cli.main(arguments) == 1
            assert "Nothing can be written to" in capsys.readouterr().err
    assert cli.main(["report", "result", "--out", str(tmp_path)]) == 1
    assert "is a folder; name a file" in capsys.readouterr().err
    check_writable(tmp_path / "a" / "b")
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
    with pytest.raises(ConfigurationError, match="File exists"):
        check_writable(tmp_path / "file")


def test_a_model_folder_is_probed_before_its_card_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.TemporaryFile", raise_no_permission)
    monkeypatch.setattr("ovparts_hf.reporting.cards.write_folder_card", lambda *_: pytest.fail("too late"))
    assert cli.main(["card", str(tmp_path)]) == 1
    assert "Nothing can be written to" in capsys.readouterr().err


def raise_no_permission(**_options):
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_home_folder_may_be_named_by_a_tilde(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["submit-format", "nowhere", "~/file/x"]) == 1
    (tmp_path / "file").write_text("")
    capsys.readouterr()
    assert cli.main(["submit-format", "nowhere", "~/file/x"]) == 1
    assert f"Nothing can be written to {tmp_path}/file/x" in capsys.readouterr().err
    arguments = TrainArguments(data="~/data", output="~/out", model="~", backbone="~/r50.pkl")
    assert [arguments.data, arguments.model] == [f"{tmp_path}/data", str(tmp_path)]
    assert [arguments.output, arguments.backbone] == [f"{tmp_path}/out", f"{tmp_path}/r50.pkl"]
    with atomic_write("~/written") as temporary:
        temporary.touch()
    assert (tmp_path / "written").exists()
    assert ModelSource("~/model").location == f"{tmp_path}/model"
    PASCAL_PART_116.to_json("~/taxonomy.json")
    assert PartTaxonomy.from_json("~/taxonomy.json") == PASCAL_PART_116


def test_exit_codes_are_documented(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "Exit codes: 0 success; 1" in " ".join(capsys.readouterr().out.split())


def test_libraries_report_only_what_is_wrong(monkeypatch):
    """Accelerate would tell of every file of a checkpoint, amid the bar of training."""
    for name in ("accelerate", "httpx"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    assert cli.main(["check", "nowhere"]) == 1
    assert not logging.getLogger("accelerate.accelerator").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
