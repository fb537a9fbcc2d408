"""Preparing: what is written, lossless, restartable, never stale, never half."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ovparts_hf.data.masks import LabelMap
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation import repository
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.data.rows import instance_features, semantic_features, semantic_row
from ovparts_hf.dataset_builders import RELEASES, ADE20KPart234, PascalPart116, get_builder
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.taxonomy import PASCAL_PART_116, PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.utils.locks import writer_lock

from ...footprint import packages_loaded

SPLIT_FOLDERS = {"pascal": {"train": "train", "validation": "val"}, "ade": {"train": "training"}}
MAP_FOLDERS = {"object_map": "annotations_detectron2_obj", "part_map": "annotations_detectron2_part"}


def prepare(source, out, **options):
    return write_repository(PascalPart116(data_dir=source), out, progress=False, **options)


def rows_of(folder, config="default", **options):
    loaded = datasets.load_dataset(str(folder), config, **options)
    return {split: list(rows) for split, rows in loaded.items()}


@pytest.fixture(scope="module")
def pascal_rows(pascal_folder):
    """Of the fixture, decoded."""
    return rows_of(pascal_folder)


def same_rows(left, right):
    assert left.keys() == right.keys()
    for split in left:
        assert [row["image_id"] for row in left[split]] == [row["image_id"] for row in right[split]]
        for row, other in zip(left[split], right[split]):
            for column, value in row.items():
                if isinstance(value, Image.Image):
                    assert value.mode == other[column].mode
                    np.testing.assert_array_equal(np.asarray(value), np.asarray(other[column]))
                else:
                    assert value == other[column]


def test_files_and_features(pascal_folder, ade_folder):
    for folder, layout in ((pascal_folder, semantic_features), (ade_folder, instance_features)):
        assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
            "README.md",
            "data/train-few_shot-00000-of-00001.parquet",
            "data/train-rest-00000-of-00001.parquet",
            "data/validation-00000-of-00001.parquet",
            "eval.yaml",
            "taxonomy.json",
        ]
        features = layout(PartTaxonomy.from_json(folder / "taxonomy.json"))
        assert datasets.load_dataset(str(folder))["train"].features == features


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_images_are_untouched_and_masks_lossless(name, request):
    root = request.getfixturevalue(f"{name}_root")
    loaded = datasets.load_dataset(str(request.getfixturevalue(f"{name}_folder")))
    raw = loaded.cast_column("image", datasets.Image(decode=False))
    for split, folder in SPLIT_FOLDERS[name].items():
        assert len(loaded[split]) == len(list((root / "images" / folder).glob("[!.]*.jpg")))
        for row, undecoded in zip(loaded[split], raw[split]):
            assert undecoded["image"]["path"] == f"{row['image_id']}.jpg"
            assert undecoded["image"]["bytes"] == (root / "images" / folder / f"{row['image_id']}.jpg").read_bytes()
            for column in MAP_FOLDERS.keys() & row.keys():
                original = Image.open(root / MAP_FOLDERS[column] / folder / f"{row['image_id']}.png")
                assert row[column].mode == original.mode
                np.testing.assert_array_equal(np.asarray(row[column]), np.asarray(original))


@pytest.mark.parametrize("folder", ["pascal_folder", "ade_folder"])
@pytest.mark.parametrize("config", ["default", "few_shot_16"])
def test_streaming_gives_the_same_rows(folder, config, request):
    folder = request.getfixturevalue(folder)
    same_rows(rows_of(folder, config), rows_of(folder, config, streaming=True))


def test_few_shot_configuration(pascal_folder, pascal_rows, ade_folder):
    few, everything = rows_of(pascal_folder, "few_shot_16"), pascal_rows
    same_rows({"validation": few["validation"]}, {"validation": everything["validation"]})
    ids = ["2008_000001", "2008_000003", "2008_000004", "2009_000008"]
    assert [row["image_id"] for row in few["train"]] == ids
    assert PartDataset.load(pascal_folder).few_shot_image_ids == set(ids)
    assert len(rows_of(ade_folder, "few_shot_16")["train"]) == 3


@pytest.mark.parametrize("spelling", ["PascalPart116", "Pascal-Part-116", "something-else"])
def test_folder_parent_and_archive_agree(spelling, pascal_root, pascal_rows, tmp_path):
    root = pascal_root.rename(pascal_root.with_name(spelling))
    expected = pascal_rows
    same_rows(rows_of(prepare(root, tmp_path / "from-folder")), expected)
    if spelling != "something-else":
        same_rows(rows_of(prepare(root.parent, tmp_path / "from-parent")), expected)
        archive = tmp_path / "repacked.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(root, spelling)
        same_rows(rows_of(prepare(archive, tmp_path / "from-archive")), expected)


def test_relative_paths(pascal_root, tmp_path, monkeypatch):
    monkeypatch.chdir(pascal_root)
    assert prepare(".", "../../out") == tmp_path / "out"
    assert (tmp_path / "out" / "README.md").is_file()


def test_ade_spelling(ade_root, ade_folder, tmp_path):
    root = ade_root.rename(ade_root.with_name("ADE20K-Part-234"))
    out = write_repository(ADE20KPart234(data_dir=root.parent), tmp_path / "out", progress=False)
    same_rows(rows_of(out), rows_of(ade_folder))


def junk_in_masks_only(root):
    (root / "annotations_detectron2_part" / "val" / "._2010_000001.png").write_bytes(b"junk")


def junk_of_the_same_stem(root):
    for folder, suffix in (("images", "jpg"), *((folder, "png") for folder in MAP_FOLDERS.values())):
        (root / folder / "val" / f"._2010_000001.{suffix}").write_bytes(b"junk")


def junk_in_equal_numbers(root):
    for path in root.rglob("._*"):
        path.unlink()
    (root / "images" / "val" / "._2010_000001.jpg").write_bytes(b"junk")
    (root / "annotations_detectron2_part" / "val" / "._2010_000006.png").write_bytes(b"junk")
    (root / "annotations_detectron2_obj" / "val" / "._2010_000003.png").write_bytes(b"junk")


def junk_folders(root):
    for folder in (root / "._train", root / "images" / "train" / "._more"):
        folder.mkdir()
        (folder / "2008_999999.jpg").write_bytes(b"junk")
    (root / "._train_16shot.json").write_bytes(b"junk")


@pytest.mark.parametrize("add", [junk_in_masks_only, junk_of_the_same_stem, junk_in_equal_numbers, junk_folders])
@pytest.mark.parametrize("packed", [False, True])
def test_junk_is_skipped(add, packed, pascal_root, pascal_rows, tmp_path):
    add(pascal_root)
    source = pascal_root
    if packed:
        source = tmp_path / "junk.tar.gz"
        with tarfile.open(source, "w:gz") as tar:
            tar.add(pascal_root, "PascalPart116")
    same_rows(rows_of(prepare(source, tmp_path / "out")), pascal_rows)


def test_palette_maps_keep_their_indices(pascal_root, pascal_rows, tmp_path):
    for path in pascal_root.glob("annotations*/*/[!.]*.png"):
        with Image.open(path) as image:
            values = np.asarray(image)
        palette = Image.fromarray(values, mode="P")
        palette.putpalette(np.random.default_rng(0).permutation(768).astype(np.uint8).tolist())
        palette.save(path)
    same_rows(rows_of(prepare(pascal_root, tmp_path / "out")), pascal_rows)


def test_turned_image(pascal_root, tmp_path):
    """A camera's EXIF orientation: the maps fit the upright image, whose bytes stay as they are."""
    path = pascal_root / "images" / "val" / "2010_000001.jpg"
    with Image.open(path) as image:
        upright = image.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(path, exif=exif, quality=95)
    dataset = PartDataset.load(prepare(pascal_root, tmp_path / "out"))
    record = next(r for r in dataset.evaluation_records(get_task("zero_shot")) if r.row == 0)
    image = dataset.read(record).image
    assert image.size == upright.size
    assert np.abs(np.asarray(image, float) - np.asarray(upright, float)).mean() < 5
    stored = dataset.splits.cast_column("image", datasets.Image(decode=False))["validation"][0]["image"]["bytes"]
    assert stored == path.read_bytes()


def test_grey_and_cmyk_images_read_as_rgb(pascal_root, tmp_path):
    for name, mode in (("2010_000001", "L"), ("2010_000002", "CMYK")):
        path = pascal_root / "images" / "val" / f"{name}.jpg"
        with Image.open(path) as image:
            converted = image.convert(mode)
        converted.save(path)
    dataset = PartDataset.load(prepare(pascal_root, tmp_path / "out"))
    assert {dataset.read(r).image.mode for r in dataset.evaluation_records(get_task("zero_shot"))} == {"RGB"}


@pytest.mark.parametrize("name", ["data [1]", "a::b", "zip::file:", "a*?"])
def test_any_path(name, pascal_archive, pascal_folder, tmp_path):
    """`datasets` reads patterns and chains of addresses into paths."""
    out, cache = tmp_path / name / "x", str(tmp_path / "cache")
    prepare(pascal_archive, out)
    for _ in range(2):
        dataset = PartDataset.load(out, cache_dir=cache)
        expected = PartDataset.load(pascal_folder)
        assert dataset.fingerprint == expected.fingerprint
        assert dataset.few_shot_image_ids == expected.few_shot_image_ids
        same_rows(dataset.splits, expected.splits)
    for path in (out / "data").glob("train-few_shot*"):
        path.rename(path.with_name("train-few_shot-00000-of-00009.parquet"))
    assert len(PartDataset.load(out, cache_dir=cache).splits["train"]) == 8


def test_users_that_are_not_there(pascal_archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare(pascal_archive, "~nobody-here/x") == tmp_path / "~nobody-here" / "x"
    assert PartDataset.load("~nobody-here/x").splits
    assert check("~nobody-here/y", RELEASES).problems[0].endswith("Give a release, its folder or a prepared dataset.")
    with pytest.raises(DatasetError, match="~nobody-here/z does not exist"):
        PascalPart116(data_dir="~nobody-here/z")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a" * 300, "longer than 255 bytes"),
        ("b" * 250, "longer than 255 bytes"),
        ("c/" * 3000, "4000 in all"),
        ("a\0b", "holds a NUL character"),
        ("\udcff", "is not UTF-8"),
        ("file/x/y", "file is a file, so there can be no"),
    ],
)
def test_what_no_folder_can_be_called(name, fault, pascal_archive, tmp_path):
    (tmp_path / "file").touch()
    path = f"{tmp_path}/{name}"
    with pytest.raises(DatasetError, match=fault):
        prepare(pascal_archive, path)
    fault = "does not exist" if len(name) == 250 or "UTF" in fault or "is a file" in fault else fault
    with pytest.raises(DatasetError, match=fault):
        PascalPart116(data_dir=path)
    assert fault in check(path, RELEASES).problems[0]
    with pytest.raises(DatasetError):
        PartDataset.load(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_byte_order_marks(pascal_root, pascal_folder, tmp_path):
    path = pascal_root / "train_16shot.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    out = prepare(pascal_root, tmp_path / "out")
    (out / "taxonomy.json").write_bytes(b"\xef\xbb\xbf" + (out / "taxonomy.json").read_bytes())
    assert PartDataset.load(out).few_shot_image_ids == PartDataset.load(pascal_folder).few_shot_image_ids


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


def test_builders_by_name():
    assert get_builder("pascal-part-116") is PascalPart116
    with pytest.raises(ConfigurationError, match="choose one of"):
        get_builder("coco")


class SemanticWorld:
    """The least that `write_repository` needs."""

    TAXONOMY = PASCAL_PART_116

    def __init__(self, folder):
        self.CARD = folder / "card.md"
        self.CARD.write_text("---\nlicense: mit\n---\n\n# A world\n\n{counts}\n")

    def features(self):
        return semantic_features(self.TAXONOMY)

    def fingerprint(self):
        return "one"

    def open(self, scratch, progress=False):
        return repository.RowSource({"train": range(3), "validation": range(2)}, self.row)

    def row(self, key):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 6), (key, 0, 0)).save(buffer, "JPEG")
        empty = LabelMap.from_array(np.full((6, 8), 255, np.uint8))
        return semantic_row(str(key), buffer.getvalue(), empty, empty, self.TAXONOMY)


def test_a_dataset_of_the_user_without_few_shot_list(tmp_path):
    out = write_repository(SemanticWorld(tmp_path), tmp_path / "out", progress=False)
    assert {split: len(rows) for split, rows in rows_of(out).items()} == {"train": 3, "validation": 2}
    assert datasets.get_dataset_config_names(str(out)) == ["default"]
    assert PartDataset.load(out).few_shot_image_ids == frozenset()
    assert pq.read_schema(next((out / "data").iterdir())).names[0] == "image_id"


def test_row_format_is_part_of_the_fingerprint(pascal_archive, tmp_path, monkeypatch):
    builder = PascalPart116(data_dir=pascal_archive)
    work = tmp_path / ".out.incomplete"
    repository._begin(work, builder)
    (work / "repository" / "data" / "old.parquet").touch()
    repository._begin(work, builder)
    assert (work / "repository" / "data" / "old.parquet").exists()
    monkeypatch.setattr(repository, "_ROW_FORMAT", 2)
    repository._begin(work, builder)
    assert not (work / "repository" / "data" / "old.parquet").exists()


def test_card_tells_the_licence(pascal_folder, ade_folder):
    for folder in (pascal_folder, ade_folder):
        text = (folder / "README.md").read_text()
        assert "why the images are not hosted here" in text
        assert "license: other" in text
        assert "| `few_shot_16` | train |" in text
        json.loads((folder / "taxonomy.json").read_text())


_CHECK = """
from ovparts_hf.dataset_builders import RELEASES
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository

assert check({archive!r}, RELEASES, progress=False).ok
"""
_PREPARE = """
write_repository(RELEASES["ade20k-part-234"]({archive!r}), {out!r}, progress=False)
assert check({out!r}, RELEASES, progress=False).ok
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
assert int(peak) / 1024 < 300, f"{{peak}} kB"
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_preparing_is_light(ade_archive, tmp_path):
    """Preparing and checking load neither torch nor transformers, and need little memory."""
    paths = {"archive": str(ade_archive), "out": str(tmp_path / "out")}
    loaded = packages_loaded(_CHECK.format(**paths))
    assert "ovparts_hf" in loaded
    assert not {"torch", "transformers", "datasets", "pandas"} & loaded
    assert not {"torch", "transformers"} & packages_loaded((_CHECK + _PREPARE).format(**paths))
