"""Records and samples equal what the original's loaders and data mapper give."""

import json
import shutil
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.records import Record
from ovparts_hf.errors import DatasetError, TaxonomyError
from ovparts_hf.taxonomy import PASCAL_PART_116, PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.utils.resize import resize_nearest, shortest_edge_size

from ..golden_folder import COMMITTED, find_folder

COUNTS = json.loads((COMMITTED / "expected_counts.json").read_text())["datasets"]
MAPPER_FOLDER = find_folder("mapper")
MAPPER = json.loads((MAPPER_FOLDER / "index.json").read_text()) if MAPPER_FOLDER else {}
ZERO_SHOT, FEW_SHOT = get_task("zero_shot"), get_task("few_shot")
ORIGINAL_NAMES = {
    "voc_obj_part_sem_seg_train": ("pascal", ZERO_SHOT, "train", None),
    "voc_obj_part_sem_seg_train_obj_condition": ("pascal", ZERO_SHOT, "train", "object"),
    "voc_obj_part_sem_seg_train_few_shot": ("pascal", FEW_SHOT, "train", None),
    "voc_obj_part_sem_seg_val_obj_condition": ("pascal", ZERO_SHOT, "test", None),
    "ade_obj_part_sem_seg_train": ("ade", ZERO_SHOT, "train", None),
    "ade_obj_part_sem_seg_train_obj_condition": ("ade", ZERO_SHOT, "train", "object"),
    "ade_obj_part_sem_seg_train_few_shot": ("ade", FEW_SHOT, "train", None),
    "ade_obj_part_sem_seg_val_obj_condition": ("ade", ZERO_SHOT, "test", None),
    "ade_obj_part_sem_seg_val_few_shot": ("ade", FEW_SHOT, "test", None),
}


def records_of(name, request):
    fixture, task, kind, level = ORIGINAL_NAMES[name]
    dataset = request.getfixturevalue(fixture)
    if kind == "test":
        return dataset, dataset.evaluation_records(task), dataset.taxonomy
    return dataset, dataset.training_records(task, level), task.train_taxonomy(dataset.taxonomy)


@pytest.mark.parametrize("name", ORIGINAL_NAMES)
def test_counts_equal_the_original(name, request):
    dataset, records, taxonomy = records_of(name, request)
    table = dataset.taxonomy.part_lookup(taxonomy)
    pixels, objects = Counter(), Counter()
    for record in records:
        part_map = table[dataset.read(record).part_map]
        for part in np.unique(part_map[part_map != taxonomy.ignore_index]):
            pixels[taxonomy.part_classes[part]] += int((part_map == part).sum())
        if record.object_id is not None:
            objects[dataset.taxonomy.object_classes[record.object_id]] += 1
    assert len(records) == COUNTS[name]["samples_with_labels"]
    assert pixels == COUNTS[name]["pixels_per_class"]
    assert objects == COUNTS[name].get("samples_per_object", {})


def test_records_of_an_image_are_adjacent_and_stable(ade):
    records = ade.evaluation_records(ZERO_SHOT)
    images = [(record.split, record.row) for record in records]
    assert len(dict.fromkeys(images)) == 1 + sum(a != b for a, b in zip(images, images[1:]))
    assert records == ade.evaluation_records(ZERO_SHOT)
    assert [record.split for record in records] == sorted((r.split for r in records), reverse=True)


@pytest.mark.parametrize("case", [name for name, facts in MAPPER.items() if not facts["dropped"]])
def test_maps_equal_the_original_mapper(case, request):
    facts, golden = MAPPER[case], np.load(MAPPER_FOLDER / f"{case}.npz")
    dataset, record = golden_record(facts, request)
    whole, sample = dataset.read(Record(record.split, record.row)), dataset.read(record)
    target = dataset.taxonomy.seen() if facts["label_maps_applied"] else dataset.taxonomy
    parts = dataset.taxonomy.part_lookup(target)
    size = sample.part_map.shape
    if facts["short_edge"]:  # without resizing, the original restricts its "full" maps in place
        size = shortest_edge_size(*size, facts["short_edge"], facts["max_size"])
        full = whole if record.instance is None else sample  # its full object map holds the one instance only
        np.testing.assert_array_equal(parts[whole.part_map], golden["ori_obj_part_sem_seg_gt"])
        np.testing.assert_array_equal(full.object_map, golden["ori_obj_sem_seg_gt"])
    np.testing.assert_array_equal(resize_nearest(parts[sample.part_map], size), golden["obj_part_sem_seg"])
    if not facts["label_maps_applied"]:  # the original's renumbering of objects is wrong on Pascal
        np.testing.assert_array_equal(resize_nearest(sample.object_map, size), golden["sem_seg"])


@pytest.mark.parametrize("case", [name for name, facts in MAPPER.items() if facts["dropped"]])
def test_records_that_the_original_drops_are_not_listed(case, request):
    with pytest.raises(IndexError):
        golden_record(MAPPER[case], request)


def golden_record(facts, request):
    """The record of a mapper case."""
    fixture = "pascal" if facts["image"].startswith("Pascal") else "ade"
    dataset = request.getfixturevalue(fixture)
    if facts["dataset"] == "voc_obj_part_sem_seg_val":  # the original's validation by image, which it never uses
        rows = dataset.splits["validation"]
        listed = [Record("validation", i) for i, parts in enumerate(rows["parts"]) if parts]
    else:
        dataset, listed, _ = records_of(facts["dataset"], request)
    image_id = Path(facts["image"]).stem
    object_id = dataset.taxonomy.object_classes.index(facts["object"]) if facts["object"] else None
    matching = [
        record
        for record in listed
        if dataset.splits[record.split][record.row]["image_id"] == image_id and record.object_id == object_id
    ]
    return dataset, matching[facts["nth_matching_record"]]


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_parts_of_a_record_are_known_without_its_image(name, request):
    dataset = request.getfixturevalue(name)
    for record in dataset.evaluation_records(ZERO_SHOT) + dataset.training_records(ZERO_SHOT):
        labelled = np.unique(dataset.read(record).part_map)
        assert dataset.parts_in(record) == tuple(labelled[labelled != dataset.taxonomy.ignore_index])


def test_later_instances_cover_earlier_ones(ade):
    row = next(i for i, row in enumerate(ade.splits["validation"]) if len(row["instances"]) > 1)
    object_map = ade.read(Record("validation", row)).object_map
    category = ade.splits["validation"][row]["instances"][-1]["category"]
    last = ade.read(Record("validation", row, category, len(ade.splits["validation"][row]["instances"]) - 1))
    inside = last.object_map != ade.taxonomy.ignore_index
    assert inside.any()
    assert (object_map[inside] == category).all()


def test_samples_may_be_changed_without_harm(pascal):
    record = pascal.evaluation_records(ZERO_SHOT)[0]
    before = pascal.read(record)
    before.part_map[:] = 0
    before.object_map[:] = 0
    before.image.putdata([(0, 0, 0)] * (before.image.width * before.image.height))
    after = pascal.read(record)
    assert after.image.getextrema() != ((0, 0),) * 3
    assert (after.part_map == pascal.taxonomy.ignore_index).any()


def test_image_is_upright_rgb_of_the_maps_size(pascal):
    sample = pascal.read(pascal.evaluation_records(ZERO_SHOT)[0])
    assert sample.image.mode == "RGB"
    assert sample.part_map.shape == sample.object_map.shape == sample.image.size[::-1]
    assert sample.part_map.dtype == sample.object_map.dtype == np.int64


def test_few_shot_needs_its_list(pascal):
    without = PartDataset(pascal.taxonomy, pascal.splits)
    with pytest.raises(DatasetError, match="Draw a list"):
        without.training_records(FEW_SHOT)


def test_a_folder_that_was_not_prepared(tmp_path):
    with pytest.raises(DatasetError, match=r"no taxonomy\.json"):
        PartDataset.load(tmp_path)


def test_neither_a_folder_nor_on_the_hub(tmp_path):
    with pytest.raises(DatasetError, match="neither a folder nor a dataset repository"):
        PartDataset.load("nobody/nothing", cache_dir=tmp_path)
    with pytest.raises(DatasetError, match="neither a folder nor a dataset repository"):
        PartDataset.load(tmp_path / "missing" / "folder")


def test_another_taxonomy_is_refused(pascal):
    with pytest.raises(TaxonomyError, match="are not those of taxonomy"):
        PartDataset(PartTaxonomy.from_part_classes(["dog's ear"]), pascal.splits)


def test_missing_columns_are_named(pascal):
    splits = datasets.DatasetDict({split: rows.remove_columns("part_map") for split, rows in pascal.splits.items()})
    with pytest.raises(DatasetError, match="part_map"):
        PartDataset(PASCAL_PART_116, splits)


@pytest.mark.parametrize("damage", ["cut", "card", "header"])
def test_a_damaged_dataset_is_one_sentence(damage, pascal_folder, tmp_path):
    folder = shutil.copytree(pascal_folder, tmp_path / "damaged")
    shard = next((folder / "data").glob("validation-*"))
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:1000])
    else:
        (folder / "README.md").write_bytes(b"\xff" if damage == "card" else b"---\na: [\n---\n")
    with pytest.raises(DatasetError, match=f"{folder} cannot be read: .*`ovparts check` says what is wrong"):
        PartDataset.load(folder, cache_dir=tmp_path / "cache")
