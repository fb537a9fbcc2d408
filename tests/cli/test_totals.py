"""What `ovparts predict` says at the end."""

import numpy as np
from PIL import Image

from ovparts_hf.cli.totals import Totals, describe_parts
from ovparts_hf.inference.result import PartSegmentation


def segmentation(label_map, scores=(0.5, 0.25)):
    label_map = np.array(label_map, dtype=np.int16)
    classes = ("dog's ear", "dog's rather long tail", *(f"part {number}" for number in range(12)))
    scores = np.array([*scores, *[0] * 12], dtype=np.float32)
    return PartSegmentation(Image.new("RGB", label_map.shape[::-1]), label_map, classes, scores)


def test_a_line_for_each_part_that_was_found():
    totals = Totals()
    for result in (segmentation([[0, 0, 0, 1]]), segmentation([[1, 1, -1, -1]], (0, 0.75)), segmentation([[-1]])):
        totals.add(result)
    lines = totals.table().splitlines()
    assert lines[:3] == [
        "part                    images  mean area  mean score",
        "dog's rather long tail  2 of 3      37.5%        0.50",
        "dog's ear               1 of 3      75.0%        0.50",
    ]
    assert lines[3] == f"not found: {', '.join(f'part {number}' for number in range(10))} and 2 more"


def test_nothing_segmented_and_nothing_found():
    totals = Totals()
    assert totals.table() == "No image was segmented."
    totals.add(segmentation([[-1]]))
    assert totals.table().splitlines()[0].startswith("part") and "not found: dog's ear, " in totals.table()
    assert describe_parts(segmentation([[-1]])) == "none of the parts"
    assert describe_parts(segmentation([[0, 1, 1, -1]])) == "dog's rather long tail 50.0 %, dog's ear 25.0 %"
