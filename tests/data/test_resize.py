"""Resizing agrees with torch on every size, and sizes round as the benchmark does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ovparts_hf.data.resize import resize_nearest, shortest_edge_size

sides = st.integers(1, 400)


@settings(max_examples=200, deadline=None)
@given(sides, sides, sides, sides)
def test_equals_torch_nearest(height, width, new_height, new_width):
    label_map = np.arange(height * width).reshape(height, width)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(label_map)[None, None].double(), size=(new_height, new_width), mode="nearest"
    )[0, 0].numpy()
    np.testing.assert_array_equal(resize_nearest(label_map, (new_height, new_width)), expected)


def test_keeps_dtype_and_identity():
    label_map = np.array([[1, 65535]], dtype=np.uint16)
    assert resize_nearest(label_map, (1, 2)) is label_map
    assert resize_nearest(label_map, (3, 3)).dtype == np.uint16


@pytest.mark.parametrize(
    ("size", "short", "maximum", "expected"),
    [
        ((90, 120), 160, 224, (160, 213)),
        ((96, 128), 160, 176, (132, 176)),
        ((120, 90), 64, 1333, (85, 64)),
        ((75, 100), 112, None, (112, 149)),
        ((100, 100), 800, 1333, (800, 800)),
    ],
)
def test_shortest_edge_size(size, short, maximum, expected):
    assert shortest_edge_size(*size, short, maximum) == expected
