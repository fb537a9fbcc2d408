"""From labels to a dataset repository that is like the others."""

import datasets
import numpy as np
import pytest

from ovparts_hf.data.custom.dataset import CustomDataset, prepare_custom
from ovparts_hf.data.custom.split import SplitRule
from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.dataset_card import split_card
from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.check import check
from ovparts_hf.dataset_builders import RELEASES
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.taxonomy.tasks import get_task

from ..labelled import PARTS, part_map, polygon, save, write_coco, write_masks


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


def test_an_interrupted_run_goes_on_only_with_equal_data(tmp_path):
    data = write_coco(tmp_path / "source")

    def fingerprint(**options):
        return CustomDataset(survey(Source(str(tmp_path / "source")), "mine", progress=False, **options)).fingerprint()

    before = fingerprint()
    assert fingerprint() == before
    assert fingerprint(rule=SplitRule(seed=1)) != before
    assert fingerprint(unseen=["bus"]) != before
    data["annotations"][0]["segmentation"] = polygon(1, 1, 9, 9)
    save(tmp_path / "source", data)
    assert fingerprint() != before


def test_the_card_says_what_is_known(tmp_path):
    write_masks(tmp_path / "source")
    out = prepare(tmp_path / "source", tmp_path / "mine", unseen=["bus"], license_name="By arrangement")
    card = (out / "README.md").read_text(encoding="utf-8")
    metadata, text = split_card(card, "README.md")
    assert (metadata["license"], metadata["license_name"], metadata["pretty_name"]) == (
        "other",
        "By arrangement",
        "mine",
    )
    assert metadata["size_categories"] == ["n<1K"]
    assert "Parts of bus are not seen" in text
    assert "| `default` | train | 8 |" in text
    assert "{" not in text.replace("`{", "")
    card = (prepare(tmp_path / "source", tmp_path / "other") / "README.md").read_text(encoding="utf-8")
    assert split_card(card, "README.md")[0]["license"] == "unknown"
    assert "make sure that you may pass on" in card


@pytest.mark.parametrize("name", ["pascal-part-116", "toy-world"])
def test_names_of_other_datasets_are_taken(name, tmp_path):
    with pytest.raises(ConfigurationError, match=name):
        prepare(tmp_path, tmp_path / name)


def test_a_problem_leaves_nothing_behind(tmp_path):
    write_coco(tmp_path / "source")
    (tmp_path / "source" / "images" / "photo03.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="photo03.png"):
        prepare(tmp_path / "source", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
