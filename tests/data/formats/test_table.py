"""Datasets of Hugging Face, beyond what every format has in common."""

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import DatasetError, HubError
from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import PARTS, SIZE, boxes_of, part_map, picture
from .reading import boxes, problems, read
from .writers import png, table, write_imagefolder, write_table


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def found_in(labels):
    return {image.image_id: boxes(image) for image in labels.images}


ALL = {f"photo{number:02d}": boxes_of(number) for number in range(4)}


def test_splits_saved_to_disk(tmp_path):
    splits = {"train": table(numbers=[1, 2]), "validation": table(numbers=[3])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "d")
    found = read(tmp_path / "d")
    assert [(image.image_id, image.split) for image in found.images] == [
        ("photo01", "train"),
        ("photo02", "train"),
        ("photo03", "validation"),
    ]
    assert found.classes == [("dog", "head"), ("dog", "tail"), ("bus", "wheel"), ("bus", "door")]
    assert {image.stated_size for image in found.images} == {SIZE}


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "data/train-00000-of-00001.parquet", "some.parquet"])
def test_parquet_in_a_folder_or_alone(name, tmp_path):
    (tmp_path / "d" / name).parent.mkdir(parents=True)
    table(4).to_parquet(tmp_path / "d" / name)
    assert found_in(read(tmp_path / "d")) == ALL
    assert found_in(read(tmp_path / "d" / name)) == ALL


@pytest.mark.parametrize("binary", [False, True])
def test_parquet_of_other_libraries(binary, tmp_path):
    rows = [
        {"image": png(np.asarray(picture(n))), "mask": png(part_map(n))}
        if binary
        else {
            "image": {"bytes": png(np.asarray(picture(n))), "path": f"photo{n:02d}.png"},
            "mask": {"bytes": png(part_map(n)), "path": None},
        }
        for n in range(2)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "names.txt").write_text("\n".join(PARTS))
    assert [boxes(image) for image in read(tmp_path).images] == [boxes_of(0), boxes_of(1)]


def test_images_are_the_files_themselves(tmp_path):
    write_table(tmp_path / "d", 2)
    assert [image.image.read() for image in read(tmp_path / "d").images] == [
        png(np.asarray(picture(n))) for n in range(2)
    ]


def test_names_from_a_file_or_a_taxonomy(tmp_path):
    table(2).remove_columns("classes").save_to_disk(tmp_path / "d")
    with pytest.raises(DatasetError, match="Nothing says what the values of 'mask' in .* mean"):
        READERS["datasets"].read(Source(str(tmp_path / "d")))
    taxonomy = PartTaxonomy.from_part_classes(PARTS)
    assert boxes(read(tmp_path / "d", taxonomy=taxonomy).images[1]) == boxes_of(1)
    (tmp_path / "names.txt").write_text("\n".join(PARTS))
    assert boxes(read(tmp_path / "d", names=tmp_path / "names.txt").images[1]) == boxes_of(1)


def test_a_dataset_that_was_saved_again_is_read_again(tmp_path):
    write_table(tmp_path / "a", 1)
    assert list(found_in(read(tmp_path / "a"))) == ["photo00"]
    write_table(tmp_path / "b", 2)
    (tmp_path / "a").rename(tmp_path / "old")
    (tmp_path / "b").rename(tmp_path / "a")
    assert list(found_in(read(tmp_path / "a"))) == ["photo00", "photo01"]


def test_labels_of_whole_images_are_no_names(tmp_path):
    rows = table(2).remove_columns("classes").add_column("scene", [0, 1])
    rows.cast_column("scene", datasets.ClassLabel(names=["street", "home"])).save_to_disk(tmp_path / "d")
    with pytest.raises(DatasetError, match="no column holds a list of class labels"):
        READERS["datasets"].read(Source(str(tmp_path / "d")))


def test_a_background_among_the_class_labels(tmp_path):
    rows = table(2, names=["background", *PARTS])
    shifted = [{"bytes": png((part_map(n) + 1).astype(np.uint8)), "path": None} for n in range(2)]  # 255 becomes 0
    features = rows.features
    rows = rows.remove_columns("mask").add_column("mask", shifted).cast(features)
    rows.save_to_disk(tmp_path / "d")
    assert boxes(read(tmp_path / "d").images[1]) == boxes_of(1)


def test_a_column_of_objects(tmp_path):
    rows = table(2)
    whole = [np.where(part_map(n) == 255, 255, part_map(n) // 2).astype(np.uint8) for n in range(2)]
    for values in whole:
        values[0, 0] = 0
    rows = rows.add_column("object_map", [{"bytes": png(values), "path": None} for values in whole])
    rows = rows.add_column("objects", [[0], [0, 1]]).rename_column("mask", "part_map").rename_column("classes", "parts")
    rows = rows.cast_column("object_map", datasets.Image())
    rows = rows.cast_column("objects", datasets.List(datasets.ClassLabel(names=["dog", "bus"])))
    rows.save_to_disk(tmp_path / "d")
    image = read(tmp_path / "d").images[1]
    objects = {a.object_name: a for a in image.annotations if a.part_name is None}
    assert set(objects) == {"dog", "bus"}
    assert objects["dog"].shape.mask(*SIZE, "it")[0, 0]
    assert {a.instance for a in image.annotations if a.object_name == "dog"} == {objects["dog"].instance}


def two_masks(rows):
    return rows.select_columns("mask").rename_column("mask", "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.remove_columns("mask"), r"has the columns of images \['image'\]; it needs one"),
        (lambda rows: rows.remove_columns(["mask", "image"]), r"has the columns of images \[\]"),
        (lambda rows: datasets.concatenate_datasets([rows, two_masks(rows)], axis=1), "it needs one"),
    ],
)
def test_columns_that_do_not_tell_are_refused(change, message, tmp_path):
    change(table(2)).save_to_disk(tmp_path / "d")
    with pytest.raises(DatasetError, match=message):
        READERS["datasets"].read(Source(str(tmp_path / "d")))


def test_values_without_a_name_are_named_with_their_row(tmp_path):
    table(2).remove_columns("classes").save_to_disk(tmp_path / "d")
    (tmp_path / "names.txt").write_text("\n".join(PARTS[:2]))
    found = problems(tmp_path / "d", "datasets", names=tmp_path / "names.txt")
    assert found.startswith("'mask' of row 1 of train holds the values [2, 3], which names.txt does not name")


def write_cells(path, cells):
    """A Parquet file with one photograph and these masks, as they are."""
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    image = {"bytes": png(np.asarray(picture(1))), "path": "a.png"}
    rows = [{"image": image, "mask": cell} for cell in cells]
    pq.write_table(pa.Table.from_pylist(rows, schema=features.arrow_schema), path)


def test_cells_without_a_file_are_named(tmp_path):
    write_cells(tmp_path / "a.parquet", [{"bytes": png(part_map(0)), "path": None}, None])
    (tmp_path / "names.txt").write_text("\n".join(PARTS))
    assert problems(tmp_path, "datasets") == "'mask' of row 1 of train is empty."


def test_paths_in_a_table_are_never_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(part_map(0)))
    write_cells(tmp_path / "a.parquet", [{"bytes": None, "path": str(tmp_path / "secret.png")}])
    (tmp_path / "names.txt").write_text("\n".join(PARTS))
    assert "'mask' of row 0 of train is a path, not the file itself" in problems(tmp_path, "datasets")


def test_what_is_neither_here_nor_on_the_hub(tmp_path):
    assert find_reader(Source("nobody/nothing-of-this-name")).name == "datasets"
    with pytest.raises(
        HubError, match="nobody/nothing-of-this-name is no file or folder here, and on the Hub: There is no"
    ):
        READERS["datasets"].read(Source("nobody/nothing-of-this-name"))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="cannot be read"):
        READERS["datasets"].read(Source(str(tmp_path)))


@pytest.mark.parametrize("mask_of", ["masks/{}.png", "b/x{}.png"])
def test_a_folder_of_images_with_metadata(mask_of, tmp_path):
    write_imagefolder(tmp_path / "d", mask_of)
    assert find_reader(Source(str(tmp_path / "d"))).name == "datasets"
    assert found_in(read(tmp_path / "d")) == {name: ALL[name] for name in ("photo00", "photo01", "photo02")}


def test_metadata_never_leads_out_of_the_folder(tmp_path):
    write_imagefolder(tmp_path / "d", "../../secret{}.png")
    write_imagefolder(tmp_path / "linked")
    (tmp_path / "linked" / "train" / "masks" / "0.png").unlink()
    (tmp_path / "linked" / "train" / "masks" / "0.png").symlink_to(tmp_path / "secret0.png")
    assert (tmp_path / "secret0.png").is_file()
    for folder in ("d", "linked"):
        try:
            found = problems(tmp_path / folder, "datasets")
        except DatasetError as error:  # `datasets` itself may refuse
            found = str(error)
        assert "is a path, not the file itself" in found or "cannot be read" in found, found
