"""From labels to a dataset repository that is like the others."""

import datasets
import numpy as np
import pytest

from dataset_builders import RELEASES
from ovparts_hf.data.custom.dataset import prepare_custom
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.check import check
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy.tasks import get_task

from ..labelled import PARTS, part_map, write_coco, write_masks


def prepare(source, out, **options):
    return prepare_custom(source, out, progress=False, **options)


def maps_of(folder):
    loaded = datasets.load_dataset(str(folder))
    return {row["image_id"]: np.asarray(row["part_map"]) for rows in loaded.values() for row in rows}


@pytest.mark.parametrize("write", [write_coco, write_masks])
def test_labels_become_the_part_maps_of_a_repository(write, tmp_path):
    write(tmp_path / "source")
    out = prepare(tmp_path / "source", tmp_path / "animals", validation="20%", license_name="cc-by-4.0")
    dataset = PartDataset.load(out, cache_dir=tmp_path / "cache")
    assert dataset.taxonomy.part_classes == PARTS
    assert dataset.taxonomy.object_classes == ("dog", "bus")
    assert dataset.taxonomy.name == "animals"
    assert (len(dataset.splits["train"]), len(dataset.splits["validation"])) == (8, 2)
    found = maps_of(out)
    assert len(found) == 10
    for number in range(10):
        np.testing.assert_array_equal(found[f"photo{number:02d}"], part_map(number))
    assert check(out, RELEASES, progress=False).problems == []
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0" in card
    assert "| dog | head, tail |" in card
    records = dataset.evaluation_records(get_task("supervised"))
    assert {record.object_id for record in records} <= {0, 1}
    assert len(records) >= 2


def test_a_problem_leaves_nothing_behind(tmp_path):
    write_coco(tmp_path / "source")
    (tmp_path / "source" / "images" / "photo03.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="photo03.png"):
        prepare(tmp_path / "source", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
