import numpy as np
import pytest

from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.metrics.breakdowns import confusions, mean_by, mean_iou_by_size

CLASSES = [
    {"name": "dog's head", "object": "dog", "part": "head"},
    {"name": "dog's ear", "object": "dog", "part": "ear"},
    {"name": "cat's ear", "object": "cat", "part": "ear"},
]
NAMES = [row["name"] for row in CLASSES]


def test_means_by_object_and_by_part_name():
    iou = {"dog's head": 40.0, "dog's ear": float("nan"), "cat's ear": 10.0}
    assert mean_by("object", iou, CLASSES) == {"dog": 40, "cat": 10}
    assert mean_by("part", iou, CLASSES) == {"head": 40, "ear": 10}
    assert np.isnan(mean_by("object", iou, CLASSES[1:2])["dog"])


def test_confusions_are_counted_and_sorted():
    metric = PartSegmentationMetric(NAMES, [0], 255)
    metric.update(prediction=[[1, 1, 0, -1, 2, 0]], reference=[[0, 0, 0, 0, 1, 2]])
    first, *others = confusions(metric.confusion_matrix, NAMES)
    assert first == {"truth": "dog's head", "prediction": "dog's ear", "pixels": 2, "share": 50}
    assert {(pair["truth"], pair["prediction"], pair["pixels"]) for pair in others} == {
        ("dog's ear", "cat's ear", 1),
        ("cat's ear", "dog's head", 1),
    }
    assert confusions(metric.confusion_matrix, NAMES, count=1) == [first]
    assert confusions(np.diag([3, 2, 0, 1]), NAMES) == []


def test_a_part_has_its_size_in_a_record():
    metric, images = PartSegmentationMetric(NAMES, [0], 255), ImageCounts(3)
    small, medium, large = (np.zeros((side, side), dtype=int) for side in (31, 32, 96))
    half = large.copy()
    half[:48] = 1  # found half of the large one; its false alarm has no size
    for n, (prediction, reference) in enumerate([(small - 1, small), (medium, medium), (half, large)]):
        images.add(str(n), metric.update(prediction, reference))
    assert mean_iou_by_size(images) == {"small": 0, "medium": 100, "large": 50}
    assert np.isnan(mean_iou_by_size(images, "ov_parts")["small"])  # nothing was answered there
    assert np.isnan(mean_iou_by_size(ImageCounts(3))["large"])


@pytest.mark.parametrize("metrics", ["ov_parts", "strict"])
def test_order_of_records_does_not_matter(metrics):
    generator = np.random.default_rng(0)
    metric = PartSegmentationMetric(NAMES, [0], 255)
    matrices = [metric.update(*generator.integers(0, 3, (2, 40, 40))) for _ in range(6)]
    found = []
    for order in (matrices, matrices[::-1]):
        images = ImageCounts(3)
        for n, matrix in enumerate(order):
            images.add(str(n), matrix)
        found.append(mean_iou_by_size(images, metrics))
    np.testing.assert_equal(*found)
