import json
import logging

import numpy as np
import pytest

from ovparts_hf.data.masks import decode_rle
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import RELEASES, PacoLVIS, PartImageNet, PartImageNetOOD
from ovparts_hf.dataset_builders.partimagenet import PARTS
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PACO_LVIS, PARTIMAGENET, PARTIMAGENET_OOD
from ovparts_hf.taxonomy.tasks import get_task

from .relatives import CATEGORIES, OOD, SEG, SIZE, box, write_paco, write_partimagenet


def prepared(builder, root, tmp_path):
    out = write_repository(builder(data_dir=root), tmp_path / "out", progress=False)
    result = check(out, RELEASES, progress=False)
    assert result.ok, result.problems
    return PartDataset.load(out, tmp_path / "cache")


def maps(dataset):
    """From the image id to its part map as class names, and the objects' names and sizes."""
    found = {}
    for split in dataset.splits.values():
        for row in split:
            values = np.asarray(row["part_map"])
            objects = [
                (dataset.taxonomy.object_classes[i["category"]], int(decode_rle(i["mask"]).sum()))
                for i in row["instances"]
            ]
            found[row["image_id"]] = values, objects
    return found


def painted(taxonomy, classes):
    """Boxes one after the other, each over the one before."""
    values = np.full(SIZE, 65535, np.int64)
    for position, name in enumerate(classes):
        left, top, right, bottom = box(position)
        values[top:bottom, left:right] = taxonomy.part_classes.index(name)
    return values


def test_the_table_of_parts_is_that_of_the_published_categories():
    assert [category.split(" ", maxsplit=1)[1].lower() for category in CATEGORIES] == list(PARTS)


def test_every_class_of_the_vocabularies_can_occur():
    for builder in (PartImageNet, PartImageNetOOD):
        layout, taxonomy = builder.LAYOUT, builder.TAXONOMY
        assert sorted(layout.objects.values()) == sorted(taxonomy.object_classes)
        assert all(synset[0] == "n" and len(synset) == 9 for synset in layout.objects)
        assert {taxonomy.part_name(i) for i in range(len(taxonomy.part_classes))} == set(PARTS)
    assert "ambulance's tier" in PARTIMAGENET.part_classes


@pytest.mark.parametrize("at", ["{split}.json", "annotations/{split}.json", "annotations/{split}/{split}.json"])
def test_partimagenet_is_as_its_papers_use_it(at, tmp_path):
    write_partimagenet(tmp_path / "PartImageNet", at=at)
    dataset = prepared(PartImageNet, tmp_path, tmp_path)
    assert dataset.taxonomy == PARTIMAGENET
    found = maps(dataset)
    assert set(dataset.splits["train"]["image_id"]) == {"n02129604_1", "n02129604_2", "n02701002_7"}
    assert set(dataset.splits["validation"]["image_id"]) == {"n02129604_9", "n02422699_4", "n03594945_6"}
    tiger = painted(PARTIMAGENET, ("tiger's head", "tiger's body", "tiger's foot"))
    np.testing.assert_array_equal(found["n02129604_1"][0], tiger)
    jeep = painted(PARTIMAGENET, ("jeep's body", "jeep's tier", "jeep's side mirror"))
    np.testing.assert_array_equal(found["n03594945_6"][0], jeep)
    assert found["n03594945_6"][1] == [("jeep", np.count_nonzero(jeep != 65535))]


def test_partimagenet_has_one_record_for_each_image(tmp_path):
    write_partimagenet(tmp_path)
    dataset = prepared(PartImageNet, tmp_path, tmp_path)
    task = get_task("zero_shot")
    assert [record.split for record in dataset.training_records(task)] == ["train"] * 3
    records = dataset.evaluation_records(task)
    names = [dataset.taxonomy.object_classes[record.object_id] for record in records]
    assert (len(records), sorted(names)) == (3, ["impala", "jeep", "tiger"])
    assert {record.split for record in records} == {"validation"}
    for record in records:
        sample = dataset.read(record)
        np.testing.assert_array_equal(sample.part_map != 65535, sample.object_map != 65535)


@pytest.mark.parametrize("nested", [True, False])
def test_the_split_of_other_objects_may_have_a_folder_for_each_synset(nested, tmp_path, caplog):
    write_partimagenet(tmp_path / "PartImageNet_OOD", OOD, nested)
    dataset = prepared(PartImageNetOOD, tmp_path, tmp_path)
    assert dataset.taxonomy == PARTIMAGENET_OOD and not caplog.records
    unseen = {dataset.taxonomy.object_classes[r.object_id] for r in dataset.evaluation_records(get_task("zero_shot"))}
    assert unseen == {"ice bear"} and "ice bear" not in dataset.taxonomy.seen_objects
    gorilla = painted(PARTIMAGENET_OOD, ("gorilla's head", "gorilla's body", "gorilla's hand"))
    np.testing.assert_array_equal(maps(dataset)["n02480855_2"][0], gorilla)


def test_what_partimagenet_leaves_out_is_said(tmp_path, caplog):
    write_partimagenet(tmp_path)
    change(
        tmp_path / "annotations/val/val.json", lambda data: data["annotations"][0].update(segmentation=[[1, 2, 3, 4]])
    )
    with caplog.at_level(logging.WARNING):
        prepared(PartImageNet, tmp_path, tmp_path)
    assert [record.message for record in caplog.records] == [
        "Left out: 1 training image of an unseen object.",
        "Left out: 1 image of an object that is not part of the dataset.",
        "Left out: 1 annotation without a polygon of three points.",
    ]


def test_rewritten_categories_do_not_count(tmp_path):
    write_partimagenet(tmp_path, at="{split}.json")
    rewritten = [{"id": i, "name": f"impala's {i}", "superclass": "Quadruped"} for i in range(147)]
    change(tmp_path / "train.json", lambda data: data.update(categories=rewritten))
    found = maps(prepared(PartImageNet, tmp_path, tmp_path))
    tiger = painted(PARTIMAGENET, ("tiger's head", "tiger's body", "tiger's foot"))
    np.testing.assert_array_equal(found["n02129604_1"][0], tiger)


def change(path, function):
    data = json.loads(path.read_text())
    function(data)
    path.write_text(json.dumps(data))


def refused(builder, root, tmp_path):
    with pytest.raises(DatasetError) as error:
        write_repository(builder(data_dir=root), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
    return str(error.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda data: data["annotations"][0].update(category_id=40), "category_id of annotation 0 of val.json is 40"),
        (lambda data: data["annotations"][0].update(category_id=6), 'The taxonomy has no "tiger\'s hand"'),
        (lambda data: data["images"][0].update(file_name="n02129604_77.JPEG"), "val.json, image 0 names the image"),
        (lambda data: data["images"][0].update(height=7), "The labels of n02129604_9.JPEG are for 60 x 7 pixels"),
        (lambda data: data.pop("annotations"), "must be a JSON object with the lists"),
        (lambda data: data["images"][0].update(file_name="../../../etc/n02129604_1.JPEG"), "leads out of"),
    ],
)
def test_partimagenet_with_a_fault_is_refused(function, message, tmp_path):
    root = tmp_path / "release"
    write_partimagenet(root)
    change(root / "annotations/val/val.json", function)
    assert message in refused(PartImageNet, root, tmp_path)


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    (tmp_path / "release.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(DatasetError, match="release.zip is a file; unpack it and give its folder"):
        PartImageNet(data_dir=tmp_path / "release.zip")
    with pytest.raises(DatasetError, match="nothing does not exist"):
        PacoLVIS(data_dir=tmp_path / "nothing")
    with pytest.raises(DatasetError, match="holds none of images, annotations"):
        PartImageNet(data_dir=tmp_path)
    (tmp_path / "images").mkdir()
    assert "has no train.json, nor annotations/train/train.json" in refused(PartImageNet, tmp_path, tmp_path)


def test_a_release_without_validation_images_is_refused(tmp_path):
    write_partimagenet(tmp_path / "r", {"train": SEG["train"], "val": {"n02085620_5.JPEG": "Quadruped"}})
    assert "has no labelled image for validation" in refused(PartImageNet, tmp_path / "r", tmp_path)


def test_paco_has_objects_with_their_parts(tmp_path, caplog):
    write_paco(tmp_path / "paco")
    with caplog.at_level(logging.WARNING):
        dataset = prepared(PacoLVIS, tmp_path, tmp_path)
    assert "paco_lvis_v1_test.json is left out. To validate on it, take paco_lvis_v1_val.json away." in caplog.text
    assert dataset.taxonomy == PACO_LVIS
    assert list(dataset.splits["validation"]["image_id"]) == ["000000001000", "000000001001"]
    row = dataset.splits["train"][0]
    objects = [
        (
            dataset.taxonomy.object_classes[i["category"]],
            i["bbox"],
            [dataset.taxonomy.part_classes[part] for part in i["parts"]],
        )
        for i in row["instances"]
    ]
    assert objects == [
        ("car (automobile)", [2, 2, 20, 20], ["car (automobile)'s antenna"]),
        ("car (automobile)", [30, 4, 26, 26], ["car (automobile)'s antenna"]),
        ("handbag", [4, 26, 16, 12], ["handbag's inner body"]),
        ("ball", [40, 32, 6, 6], []),
    ]
    antenna = dataset.taxonomy.part_classes.index("car (automobile)'s antenna")
    part_map = np.asarray(row["part_map"])
    assert np.count_nonzero(part_map == antenna) == 2 * 32 and part_map[4, 4] == part_map[13, 35] == antenna


def test_paco_validates_on_its_test_split_where_there_is_no_other(tmp_path):
    write_paco(tmp_path / "r", splits=("train", "test"))
    dataset = prepared(PacoLVIS, tmp_path / "r", tmp_path)
    assert list(dataset.splits["validation"]["image_id"]) == ["000000001000", "000000001001"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda data: data["annotations"][1].update(category_id=1999),
            "The image_id 0 and category_id 1999 of annotation 2",
        ),
        (lambda data: data["categories"][0].update(name="submarine"), "The taxonomy has no 'submarine'"),
        (
            lambda data: data["annotations"][1]["segmentation"].update(size=[4, 4]),
            "annotation 2 of paco_lvis_v1_train.json",
        ),
        (lambda data: data["images"][0].update(file_name="train2017/none.jpg"), "train.json, image 0 names the image"),
    ],
)
def test_paco_with_a_fault_is_refused(function, message, tmp_path):
    write_paco(tmp_path / "r")
    change(tmp_path / "r/annotations/paco_lvis_v1_train.json", function)
    assert message in refused(PacoLVIS, tmp_path / "r", tmp_path)


def test_paco_without_labels_of_training_is_refused(tmp_path):
    write_paco(tmp_path / "r", splits=("val",))
    assert "has no paco_lvis_v1_train.json, nor annotations/paco" in refused(PacoLVIS, tmp_path / "r", tmp_path)
