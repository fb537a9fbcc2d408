"""Few-shot lists match however their author's paths began."""

import json

import pytest

from ovparts_hf.data.preparation.annotations import read_few_shot_list, read_instances


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("datasets/PascalPart116/images/train/a.jpg", "train/a.jpg"),
        ("/data/images/Pascal-Part-116/images/train/a.jpg", "train/a.jpg"),
        ("D:\\data\\PascalPart116\\images\\train\\a.jpg", "train/a.jpg"),
        ("images/train/a.jpg", "train/a.jpg"),
        ("my_images/train/a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
    ],
)
def test_only_what_follows_images_counts(path, expected, tmp_path):
    file = tmp_path / "list.json"
    file.write_text(json.dumps([{"file_name": path, "more": 1}, {"file_name": path}]))
    assert read_few_shot_list(file, "list.json") == [expected]


def test_images_by_id_and_annotations_in_file_order(tmp_path):
    file = tmp_path / "instances.json"
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 4, "width": 5} for i in (7, 3)]
    annotations = [
        {"id": i, "image_id": image, "category_id": i, "segmentation": [[0, 0, 4, 0, 4, 4]], "part_category_id": [1]}
        for i, image in ((5, 7), (2, 3), (1, 7))
    ]
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    listed, problems = read_instances(file, "instances.json")
    assert problems == []
    assert [image.file_name for image in listed] == ["3.jpg", "7.jpg"]
    assert [annotation.category for annotation in listed[1].annotations] == [5, 1]
    instance = listed[0].annotations[0].to_instance(4, 5, 44)
    assert instance.category == 2
    assert len(instance.bbox) == 4  # from the mask, where the file has none
