"""Preparing once more: what is restarted, what is stale, and what lies where it is to be written."""

import os
import shutil

import datasets
import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.preparation import repository
from ovparts_hf.dataset_builders import PascalPart116
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.utils.locks import writer_lock

from .conftest import prepare, rows_of, same_rows


class TestStaleCaches:
    def test_changed_data_is_not_served_from_the_cache(self, pascal_root, tmp_path):
        """One other byte in an image: path, file names and all sizes in the card stay as they are."""
        cache, out = str(tmp_path / "cache"), tmp_path / "out"
        before = rows_of(prepare(pascal_root, out), cache_dir=cache)
        old_card = (out / "README.md").read_text()
        path = pascal_root / "images" / "val" / "2010_000001.jpg"
        data = bytearray(path.read_bytes())
        data[-500] ^= 2  # among the compressed pixels
        path.write_bytes(data)
        after = rows_of(prepare(pascal_root, out, overwrite=True), cache_dir=cache)
        new_card = (out / "README.md").read_text()
        changed = [new for old, new in zip(old_card.splitlines(), new_card.splitlines()) if old != new]
        assert len(changed) == 2
        assert all("description: Content sha256-" in line for line in changed)
        images = [np.asarray(rows["validation"][0]["image"]) for rows in (before, after)]
        assert not np.array_equal(*images)
        np.testing.assert_array_equal(images[1], np.asarray(Image.open(path)))

    def test_fewer_images_in_the_same_folder(self, pascal_root, tmp_path):
        cache, out = str(tmp_path / "cache"), tmp_path / "out"
        assert len(rows_of(prepare(pascal_root, out), cache_dir=cache)["validation"]) == 6
        for path in pascal_root.glob("*/val/*2010_000006.*"):
            path.unlink()
        assert len(rows_of(prepare(pascal_root, out, overwrite=True), cache_dir=cache)["validation"]) == 5


def raise_interrupt():
    raise KeyboardInterrupt


class TestRestart:
    @pytest.fixture(autouse=True)
    def small_shards(self, monkeypatch):
        monkeypatch.setattr(repository, "ROWS_PER_SHARD", 2)

    def interrupt(self, monkeypatch, source, out, after):
        """Prepares until a number of shards is complete."""
        write, done = repository.write_shard, []

        def stop(*arguments, **options):
            if len(done) == after:
                raise KeyboardInterrupt
            done.append(write(*arguments, **options))
            return done[-1]

        with monkeypatch.context() as patch:
            patch.setattr(repository, "write_shard", stop)
            with pytest.raises(KeyboardInterrupt):
                prepare(source, out)
        assert not out.exists()
        return out.with_name(f".{out.name}.incomplete") / "repository" / "data"

    def test_continues_from_finished_shards(self, pascal_archive, pascal_rows, tmp_path, monkeypatch):
        out = tmp_path / "out"
        data = self.interrupt(monkeypatch, pascal_archive, out, after=3)
        finished = {path.name: path.stat().st_ino for path in data.glob("*.parquet")}
        assert len(finished) == 3
        prepare(pascal_archive, out)
        assert {path.name: path.stat().st_ino for path in (out / "data").iterdir()}.items() >= finished.items()
        assert len(list((out / "data").iterdir())) == 7
        same_rows(rows_of(out), pascal_rows)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize(
        ("error", "begins"), [(KeyboardInterrupt, "Interrupted. The"), (OSError, "Not complete. The")]
    )
    def test_what_continues_is_said(self, error, begins, pascal_archive, tmp_path, monkeypatch, caplog):
        def fail(*arguments, **options):
            raise error

        monkeypatch.setattr(repository, "write_shard", fail)
        with pytest.raises(error):
            prepare(pascal_archive, tmp_path / "out")
        assert f"{begins} same command continues from {tmp_path / '.out.incomplete'}." in caplog.text

    def test_where_nothing_was_begun_nothing_continues(self, pascal_archive, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(PascalPart116, "fingerprint", lambda builder: raise_interrupt())
        with pytest.raises(KeyboardInterrupt):
            prepare(pascal_archive, tmp_path / "out")
        assert "continues" not in caplog.text and list(tmp_path.iterdir()) == []

    def test_half_a_shard_is_not_trusted(self, pascal_archive, pascal_rows, tmp_path, monkeypatch):
        out = tmp_path / "out"
        data = self.interrupt(monkeypatch, pascal_archive, out, after=1)
        (data / "train-rest-00000-of-00002.parquet.partial").write_bytes(b"half")
        same_rows(rows_of(prepare(pascal_archive, out)), pascal_rows)
        assert not list(out.rglob("*.partial"))

    def test_changed_data_is_not_mixed(self, pascal_root, tmp_path, monkeypatch):
        out = tmp_path / "out"
        self.interrupt(monkeypatch, pascal_root, out, after=5)
        image = pascal_root / "images" / "train" / "2008_000001.jpg"
        shutil.copyfile(pascal_root / "images" / "train" / "2008_000003.jpg", image)
        prepare(pascal_root, out)
        rows = datasets.load_dataset(str(out))["train"].cast_column("image", datasets.Image(decode=False))
        assert rows[0]["image"]["bytes"] == image.read_bytes()

    @pytest.mark.parametrize("removed", ["publish", "source"])
    def test_a_kill_between_publishing_and_cleaning(self, removed, pascal_archive, pascal_rows, tmp_path, monkeypatch):
        """What a killed run was about to remove is neither in the way nor used."""
        out, work = tmp_path / "out", tmp_path / ".out.incomplete"

        def kill(folder, *arguments, **options):
            if removed == "source":
                for path in (work / "source").rglob("2008_00000[12]*"):
                    path.unlink()
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(repository.shutil, "rmtree", lambda path, **options: path == work and kill(path))
            with pytest.raises(KeyboardInterrupt):
                prepare(pascal_archive, out)
        assert out.exists() and (work / "source").exists()
        assert prepare(pascal_archive, out, overwrite=True) == out
        same_rows(rows_of(out), pascal_rows)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_what_a_kill_left_beside_a_finished_dataset(self, pascal_archive, pascal_folder, pascal_rows, tmp_path):
        """The same command refuses to overwrite the dataset, but cleans up."""
        out, work = shutil.copytree(pascal_folder, tmp_path / "out"), tmp_path / ".out.incomplete"
        (work / "source").mkdir(parents=True)
        (tmp_path / ".out.lock").touch()
        with pytest.raises(DatasetError, match="is a prepared dataset already"):
            prepare(pascal_archive, out)
        same_rows(rows_of(out), pascal_rows)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_own_leftovers_are_removed(self, pascal_archive, pascal_rows, tmp_path, monkeypatch):
        out = tmp_path / "out"
        data = self.interrupt(monkeypatch, pascal_archive, out, after=1)
        (data / "unknown.parquet.partial").write_bytes(b"half")
        (data.parents[1] / ".source.12ab34cd").mkdir()
        prepare(pascal_archive, out)
        same_rows(rows_of(out), pascal_rows)
        assert not list(out.rglob("*.partial"))
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_several_processes_give_the_same_bytes(self, pascal_archive, tmp_path):
        one, two = prepare(pascal_archive, tmp_path / "one"), prepare(pascal_archive, tmp_path / "two", num_proc=2)
        files = sorted(path.relative_to(one) for path in one.rglob("*.*"))
        assert len(files) == 10
        assert all((one / path).read_bytes() == (two / path).read_bytes() for path in files)

    def test_error_in_another_process(self, pascal_root, tmp_path):
        (pascal_root / "images" / "val" / "2010_000004.jpg").write_bytes(b"")
        with pytest.raises(DatasetError, match="2010_000004.jpg is not a whole image"):
            prepare(pascal_root, tmp_path / "out", num_proc=2)
        assert [path.name for path in tmp_path.iterdir()] == ["release"]


class TestTarget:
    def test_existing_dataset_is_kept(self, pascal_archive, pascal_folder, tmp_path):
        out = shutil.copytree(pascal_folder, tmp_path / "out")
        with pytest.raises(DatasetError, match="is a prepared dataset already. Use it as it is, overwrite it"):
            prepare(pascal_archive, out)
        assert prepare(pascal_archive, out, overwrite=True) == out
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_other_folders_are_never_replaced(self, pascal_root, tmp_path):
        for target in (pascal_root, pascal_root / "train_16shot.json"):
            with pytest.raises(DatasetError, match="is not a prepared dataset, so it is left alone"):
                prepare(pascal_root, target, overwrite=True)
        assert (pascal_root / "images").is_dir()

    def test_empty_folder_and_missing_parents(self, pascal_archive, tmp_path):
        (tmp_path / "empty").mkdir()
        assert (prepare(pascal_archive, tmp_path / "empty") / "README.md").is_file()
        assert (prepare(pascal_archive, tmp_path / "a" / "b") / "README.md").is_file()

    def test_failure_keeps_the_old_dataset(self, pascal_root, pascal_folder, pascal_rows, tmp_path):
        out = shutil.copytree(pascal_folder, tmp_path / "out")
        (pascal_root / "images" / "val" / "2010_000004.jpg").write_bytes(b"")
        with pytest.raises(DatasetError):
            prepare(pascal_root, out, overwrite=True)
        same_rows(rows_of(out), pascal_rows)

    def test_two_processes_do_not_prepare_the_same_folder(self, pascal_archive, tmp_path):
        out = tmp_path / "out"
        with writer_lock(tmp_path / ".out.lock", out):
            with pytest.raises(ConfigurationError, match=f"{out} is being written by process {os.getpid()} on"):
                prepare(pascal_archive, out)
            assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]
        (tmp_path / ".out.lock").write_text('{"pid": 1, "host": "elsewhere"}')  # of a killed process
        prepare(pascal_archive, out)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_processes_must_be_positive(self, pascal_archive, tmp_path):
        with pytest.raises(ConfigurationError, match="num_proc is 0"):
            prepare(pascal_archive, tmp_path / "out", num_proc=0)
