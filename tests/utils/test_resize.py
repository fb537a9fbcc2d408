import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.utils.resize import resize_nearest, shortest_edge_size

SIDE = st.integers(1, 1400)


# Outputs of at most 4 columns, or of less than about 2,000 pixels, take another path in torch, with other rounding; no
# image is that small.
@given(height=SIDE, new_height=SIDE, precision=st.sampled_from([np.float32, np.float64]))
def test_resize_follows_torch_in_either_precision(height, new_height, precision):
    ramp = np.arange(height)[:, None].repeat(300, 1)
    tensor = torch.from_numpy(ramp.astype(precision))[None, None]
    expected = torch.nn.functional.interpolate(tensor, size=(max(new_height, 8), 300), mode="nearest")[0, 0]
    np.testing.assert_array_equal(resize_nearest(ramp, (max(new_height, 8), 300), precision), expected.numpy())


def test_the_two_precisions_differ_where_torch_says_so():
    ramp = np.arange(1048)[:, None]
    assert resize_nearest(ramp, (996, 1))[747] == 786
    assert resize_nearest(ramp, (996, 1), np.float32)[747] == 785


def test_resize_keeps_dtype_and_returns_the_same_map_at_the_same_size():
    label_map = np.array([[1, 65535]], dtype=np.uint16)
    assert resize_nearest(label_map, (1, 2)) is label_map
    assert resize_nearest(label_map, (2, 4)).dtype == np.uint16
    assert resize_nearest(np.zeros((3, 4, 5)), (2, 2)).shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [((90, 120), (160, 224), (160, 213)), ((96, 128), (160, 176), (132, 176)), ((120, 90), (64, 1333), (85, 64))],
)
def test_shortest_edge(size, limits, expected):
    assert shortest_edge_size(*size, *limits) == expected
