"""The label columns of a row say what its maps hold, and records follow from them."""

import numpy as np

from ovparts_hf.data.masks import LabelMap
from ovparts_hf.data.records import Record, RowLabels, by_image, evaluation_records, training_records
from ovparts_hf.data.rows import Instance, instance_features, instance_row, semantic_features, semantic_row
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task

from .run_lengths import encode_mask

TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["dog", "bus", "boat"],
        "part_classes": ["dog's ear", "dog's tail", "bus's wheel"],
        "seen_objects": ["dog"],
    }
)
N = TAXONOMY.ignore_index
OBJECTS = np.array([[0, 0, 1, 2, N], [0, 0, 1, 2, N]], np.uint8)
PARTS = np.array([[0, N, 2, N, 1], [0, 1, 2, N, N]], np.uint8)  # one tail pixel lies outside every object


def semantic(image_id="a", objects=OBJECTS, parts=PARTS):
    return semantic_row(image_id, b"jpeg", LabelMap.from_array(objects), LabelMap.from_array(parts), TAXONOMY)


def instance(image_id="a"):
    masks = [OBJECTS == 1, OBJECTS == 0, np.ones((2, 5), bool), np.zeros((2, 5), bool), OBJECTS == 2]
    instances = [Instance(c, [0.0, 0.0, 1.0, 1.0], encode_mask(m)) for c, m in zip([1, 0, 0, 1, 2], masks)]
    return instance_row(image_id, b"jpeg", LabelMap.from_array(PARTS.astype(np.uint16)), instances, TAXONOMY)


def test_semantic():
    row = semantic()
    assert row["objects"] == [0, 1, 2]
    assert row["object_parts"] == [[0, 1], [2], []]
    assert row["parts"] == [0, 1, 2]
    assert row["image"] == {"bytes": b"jpeg", "path": "a.jpg"}
    assert set(row) == set(semantic_features(TAXONOMY))


def test_instance():
    row = instance()
    assert [i["parts"] for i in row["instances"]] == [[2], [0, 1], [0, 1, 2], [], []]
    assert [i["category"] for i in row["instances"]] == [1, 0, 0, 1, 2]
    assert row["parts"] == [0, 1, 2]
    assert set(row) == set(instance_features(TAXONOMY))


def found(records):
    return [(r.split, r.row, r.object_id, r.instance) for r in records]


def test_evaluation_records():
    zero_shot, few_shot = get_task("zero_shot"), get_task("few_shot")
    rows = [RowLabels.from_row(semantic())]
    assert found(evaluation_records({"validation": rows}, TAXONOMY, zero_shot, ())) == [
        ("validation", 0, 0, None),
        ("validation", 0, 1, None),
    ]
    splits = {"validation": [RowLabels.from_row(instance())], "train": [RowLabels.from_row(instance("few"))]}
    validation = [("validation", 0, 1, 0), ("validation", 0, 0, 1), ("validation", 0, 0, 2)]
    unseen = [("train", 0, 1, 0)]
    assert found(evaluation_records(splits, TAXONOMY, zero_shot, {"few"})) == validation + unseen
    assert found(evaluation_records(splits, TAXONOMY, few_shot, {"few"})) == validation


def test_training_records():
    zero_shot, few_shot = get_task("zero_shot"), get_task("few_shot")
    unseen_only = np.where(PARTS == 2, PARTS, N).astype(np.uint8)
    rows = [RowLabels.from_row(semantic("a")), RowLabels.from_row(semantic("b", parts=unseen_only))]
    assert found(training_records(rows, TAXONOMY, zero_shot, "image", ())) == [("train", 0, None, None)]
    assert found(training_records(rows, TAXONOMY, zero_shot, "object", ())) == [("train", 0, 0, None)]
    assert found(training_records(rows, TAXONOMY, few_shot, "image", {"b"})) == [("train", 1, None, None)]
    assert found(training_records(rows, TAXONOMY, few_shot, "object", {"b"})) == [("train", 1, 1, None)]


def test_records_of_one_image_are_grouped_in_their_order():
    records = [
        Record("validation", 0, 3),
        Record("validation", 0, 1),
        Record("validation", 1, 1),
        Record("train", 1, 1),
    ]
    assert by_image(records) == [records[:2], records[2:3], records[3:]]
    assert by_image([]) == []
