"""Preparing: what is written, lossless, restartable, never stale, never half."""

import io
import json
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

from ...footprint import packages_loaded
from .conftest import prepare, rows_of, same_rows

SPLIT_FOLDERS = {"pascal": {"train": "train", "validation": "val"}, "ade": {"train": "training"}}
MAP_FOLDERS = {"object_map": "annotations_detectron2_obj", "part_map": "annotations_detectron2_part"}


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
