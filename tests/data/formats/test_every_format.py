import pickle

import numpy as np
import pytest

from ovparts_hf.data.custom.dataset import prepare_custom
from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import ConfigurationError, DatasetError

from ..labelled import PARTS, boxes_of, part_map, write_coco, write_masks
from .reading import boxes, read
from .writers import WRITERS

ALL = {**WRITERS, "coco": write_coco, "masks": write_masks}


@pytest.mark.parametrize("name", ALL)
def test_every_format_is_recognised_and_read_alike(name, tmp_path):
    ALL[name](tmp_path / "source")
    assert {*ALL, "instructpart"} == set(READERS)
    assert find_reader(Source(str(tmp_path / "source"))).name == name
    labels = read(tmp_path / "source")
    found = {image.image_id: boxes(image) for image in pickle.loads(pickle.dumps(labels.images))}
    assert found == {f"photo{number:02d}": boxes_of(number) for number in range(10)}
    assert len({image.split for image in labels.images}) == 1


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_becomes_the_same_dataset(name, tmp_path):
    WRITERS[name](tmp_path / "source", 6)
    dataset = PartDataset.load(
        prepare_custom(tmp_path / "source", tmp_path / "parts", progress=False), tmp_path / "cache"
    )
    assert set(dataset.taxonomy.part_classes) == set(PARTS)
    ids = {name: i for i, name in enumerate(dataset.taxonomy.part_classes)}
    rows = [row for split in dataset.splits.values() for row in split]
    assert len(rows) == 6
    for row in rows:
        number = int(row["image_id"][-2:])
        np.testing.assert_array_equal(np.asarray(row["part_map"]), part_map(number, ids))
        assert len(row["instances"]) == (2 if number % 2 else 1)


def test_two_formats_in_one_folder_must_be_told_apart(tmp_path):
    WRITERS["labelme"](tmp_path, 2)
    WRITERS["cvat"](tmp_path / "other", 2)
    with pytest.raises(
        DatasetError, match=r"may be in any of the formats \['labelme', 'cvat'\]. Say which with --format"
    ):
        find_reader(Source(str(tmp_path)))
    assert find_reader(Source(str(tmp_path)), "cvat").name == "cvat"


def test_unknown_sources_and_formats_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="is in no format that is recognised. Formats: coco"):
        find_reader(Source(str(tmp_path)))
    with pytest.raises(DatasetError, match="does not exist"):
        find_reader(Source(str(tmp_path / "nothing")))
    with pytest.raises(ConfigurationError, match="Unknown format 'voc'"):
        find_reader(Source(str(tmp_path)), "voc")
