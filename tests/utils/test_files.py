"""Files appear whole or not at all, and what cannot be read is named."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.utils.files import atomic_folder, atomic_write, first_line, read_json, replace_folder


def test_atomic_write_makes_folders_and_leaves_only_the_file(tmp_path):
    path = tmp_path / "a" / "b.json"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent and temporary.suffix == ".json"
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_keeps_the_old_file_and_removes_the_temporary_one(tmp_path):
    path = tmp_path / "b.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("writer", [atomic_write, atomic_folder])
def test_what_a_killed_process_left_is_removed(writer, tmp_path):
    target = tmp_path / "b.json"
    program = f"""
import os, signal
from ovparts_hf.utils.files import {writer.__name__}
with {writer.__name__}({str(target)!r}) as temporary:
    temporary.is_dir() or temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1  # noqa: PTH208
    other = tmp_path / ".b.0123abcd.json"
    other.touch()
    with writer(target) as first, writer(target) as second:  # what is being written is left alone
        assert first != second
        for number, temporary in enumerate((first, second)):
            (temporary / "x" if temporary.is_dir() else temporary).write_text(str(number))
    assert sorted(tmp_path.iterdir()) == [other, target]
    assert (target / "x" if target.is_dir() else target).read_text() == "0"


def test_a_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "x"):
        pass


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "model"
    with atomic_folder(target) as folder:
        (folder / "weights").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["weights"]
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "new").write_text("2")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    with atomic_folder(target) as folder:
        (folder / "new").write_text("2")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_a_folder_removes_what_an_interrupted_replacement_left(tmp_path):
    new, target, left = tmp_path / "new", tmp_path / "target", tmp_path / "new.old"
    for folder in (new, target, left):
        folder.mkdir()
        (folder / folder.name).touch()
    replace_folder(new, target)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["target", "target/new"]


@pytest.fixture
def synced(monkeypatch):
    """What is synced, in order, as the names of paths; a rename adds "->" and the new name."""
    events, fsync, rename, replace = [], os.fsync, Path.rename, Path.replace

    def recorded_fsync(descriptor):
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def recorded(move):
        return lambda path, target: events.append(f"-> {target.name}") or move(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "rename", recorded(rename))
    monkeypatch.setattr(Path, "replace", recorded(replace))
    return events


def test_a_file_is_on_the_disk_before_it_gets_its_name(synced, tmp_path):
    with atomic_write(tmp_path / "out" / "b.json") as temporary:
        temporary.write_text("new")
    assert synced == [temporary.name, "-> b.json", "out"]


def test_a_folder_is_on_the_disk_before_it_gets_its_name(synced, tmp_path):
    with atomic_folder(tmp_path / "out" / "model") as folder:
        (folder / "weights").write_text("1")
        (folder / "deep").mkdir()
        (folder / "deep" / "config").write_text("2")
    renamed = synced.index("-> model")
    assert sorted(synced[:renamed]) == sorted([folder.name, "weights", "deep", "config"])
    assert synced[renamed + 1 :] == ["out"]


def test_what_the_disk_refuses_is_not_renamed(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "b.json") as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == []


def test_file_systems_that_cannot_sync_are_written_to_all_the_same(monkeypatch, tmp_path):
    def unsupported(descriptor):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unsupported)
    with atomic_write(tmp_path / "b.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "b.json").read_text() == "new"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_is_read_with_or_without_a_byte_order_mark(encoding, tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"é": [1, 2]}', encoding=encoding)
    assert read_json(path, ConfigurationError) == {"é": [1, 2]}
    assert read_json(str(path), ConfigurationError, object_hook=list) == ["é"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is not valid JSON: Expecting value"),
        (b'{"a": 1', "is not valid JSON: Expecting ',' delimiter"),
        (b"\xfa\xfe\xfa", "is not valid JSON: 'utf-8' codec"),
        (b"\xff\xfe\xfa", "is not valid JSON: it is text in UTF-16: save it as UTF-8"),
        (b"\xfe\xff\x00{", "is not valid JSON: it is text in UTF-16: save it as UTF-8"),
        (b"[" * 100_000, "is not valid JSON: .*recursion"),
    ],
)
def test_unreadable_json_is_named_in_one_line(content, fault, tmp_path):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"^{path} {fault}.*\. Make it anew\.$"):
        read_json(path, ConfigurationError, "Make it anew.")
    with pytest.raises(DatasetError, match=rf"^The list {fault}[^\n]*$") as caught:
        read_json(path, DatasetError, name="The list")
    assert isinstance(caught.value.__cause__, OSError | json.JSONDecodeError | UnicodeDecodeError | RecursionError)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("one", "one"),
        ("\n  two\nthree", "two"),
        ("", "ValueError"),
        (" \n", "ValueError"),
        ("a" * 5000, f"{'a' * 300}...{'a' * 150}"),
    ],
)
def test_the_first_line_of_an_error_says_something(message, expected):
    assert first_line(ValueError(message)) == expected
