"""SPIN's files of parts, which are COCO's with names of images that have no suffix."""

import json

from ..labelled import SIZE, picture, polygon
from .reading import boxes, read


def test_spin_is_read_as_coco(tmp_path):
    categories = [{"id": 0, "name": "Quadruped Head", "supercategory": "Quadruped"}]
    categories.append({"id": 26, "name": "Car Side Mirror", "supercategory": "Car"})
    for split, stem in (("train", "n02129604_1"), ("val", "n02701002_2")):
        (tmp_path / "images" / split).mkdir(parents=True)
        picture(len(split)).save(tmp_path / "images" / split / f"{stem}.JPEG", "JPEG")
        data = {
            "images": [{"id": 7, "file_name": stem, "height": SIZE[0], "width": SIZE[1]}],
            "annotations": [
                {"id": 1, "image_id": 7, "category_id": 26 * (split == "val"), "segmentation": polygon(4, 4, 9, 12)}
            ],
            "categories": categories,
        }
        (tmp_path / f"spin_{split}_parts.json").write_text(json.dumps(data))
    first, second = read(tmp_path).images
    assert (first.split, boxes(first)) == ("train", {"Quadruped's Head": (4, 4, 9, 12)})
    assert (second.split, boxes(second)) == ("validation", {"Car's Side Mirror": (4, 4, 9, 12)})
    assert second.image.name == "images/val/n02701002_2.JPEG"
