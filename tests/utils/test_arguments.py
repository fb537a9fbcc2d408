"""Arguments whose silent conversion would change their meaning."""

import numpy as np
import pytest
import torch

from ovparts_hf.errors import ConfigurationError, TaxonomyError
from ovparts_hf.evaluation.bootstrap import bootstrap
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.utils.arguments import binary_mask, check_positive, whole_numbers

WRONG_IDS = [
    [True, False, True],
    [0, True],
    [1.0],
    [0.5],
    ["0"],
    np.array([True, False, True]),
    np.array([0.0, 2.0]),
    torch.tensor([True, False, True]),
    7,
    None,
]


@pytest.mark.parametrize("ids", WRONG_IDS, ids=repr)
def test_ids_are_integers(ids):
    with pytest.raises(ConfigurationError, match="seen_ids holds .* give integers"):
        PartSegmentationMetric(["a's x", "a's y", "a's z"], ids, 255)
    images = ImageCounts(3)
    images.add("a", np.eye(4, dtype=np.int64))
    with pytest.raises(ConfigurationError, match="seen_ids holds .* give integers"):
        bootstrap(images, ids)


def test_integers_of_any_type_are_ids():
    for ids in ([0, 2], {2, 0}, np.array([0, 2], dtype=np.uint8), torch.tensor([0, 2]), (i for i in (0, 2))):
        assert sorted(whole_numbers("ids", ids)) == [0, 2]
    with pytest.raises(ConfigurationError, match=r"\[3\] are no classes"):
        images = ImageCounts(3)
        images.add("a", np.eye(4, dtype=np.int64))
        bootstrap(images, [3])


@pytest.mark.parametrize("change", [{"part_object_ids": [0.9]}, {"part_object_ids": [True]}, {"ignore_index": 254.5}])
def test_a_taxonomy_takes_integers(change):
    with pytest.raises(TaxonomyError, match="give integers"):
        PartTaxonomy.from_dict({"object_classes": ["a", "b"], "part_classes": ["a's x"], **change})


def test_positive_numbers():
    check_positive(top_k=None, batch_size=1)
    for number in (0, -1, 1.5, True, "2"):
        with pytest.raises(ConfigurationError, match="max_images"):
            check_positive(max_images=number)


@pytest.mark.parametrize(
    "mask", [[[0, 1]], [[False, True]], [[0.0, 0.3]], [[0, 255]], [[0, np.inf]], torch.tensor([[0.0, 1.0]])]
)
def test_masks(mask):
    np.testing.assert_array_equal(binary_mask("mask", mask), [[False, True]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64, torch.bfloat16])
def test_any_value_above_0_is_inside(dtype):
    values = [[0, 1], [2, 7]]
    mask = torch.tensor(values, dtype=dtype) / 8 if dtype is torch.bfloat16 else np.array(values, dtype)
    np.testing.assert_array_equal(binary_mask("mask", mask), [[False, True], [True, True]])
    assert binary_mask("mask", []).shape == (0,)


@pytest.mark.parametrize("mask", [[[0, np.nan]], [[0, -1.0]], [[0, -1]], [[0.3, -np.inf]], [["a"]], [[1j]]])
def test_what_is_no_mask(mask):
    with pytest.raises(ConfigurationError, match="The mask"):
        binary_mask("mask", mask)
