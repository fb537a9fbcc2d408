"""Colour augmentation: 8-bit HSV as OpenCV computes it, the stated ranges, and maps left alone."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ovparts_hf.data.augmentation import ColorJitter, Sample, hsv_to_rgb, rgb_to_hsv

images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))

# (red, green, blue), (hue, saturation, value), and the way back: computed with OpenCV's 8-bit COLOR_RGB2HSV and
# COLOR_HSV2RGB on rows of 64 equal pixels.
OPENCV = [
    ((0, 0, 0), (0, 0, 0), (0, 0, 0)),
    ((255, 255, 255), (0, 0, 255), (255, 255, 255)),
    ((255, 0, 0), (0, 255, 255), (255, 0, 0)),
    ((0, 255, 0), (60, 255, 255), (0, 255, 0)),
    ((0, 0, 255), (120, 255, 255), (0, 0, 255)),
    ((200, 40, 41), (0, 204, 200), (200, 39, 39)),
    ((41, 200, 40), (60, 204, 200), (39, 200, 39)),
    ((40, 41, 200), (120, 204, 200), (39, 39, 200)),
    ((13, 200, 197), (90, 238, 200), (13, 199, 200)),
    ((250, 3, 128), (165, 252, 250), (250, 2, 126)),
    ((255, 254, 253), (15, 2, 255), (255, 254, 253)),
    ((1, 0, 2), (135, 255, 2), (1, 0, 2)),
    ((77, 77, 78), (120, 3, 78), (77, 77, 78)),
    ((90, 180, 30), (48, 213, 180), (89, 180, 29)),
    ((30, 90, 180), (108, 213, 180), (29, 89, 180)),
    ((128, 64, 32), (10, 191, 128), (128, 64, 32)),
]


@pytest.mark.parametrize(("rgb", "hsv", "back"), OPENCV)
def test_conversion_equals_opencv(rgb: tuple, hsv: tuple, back: tuple) -> None:
    assert tuple(rgb_to_hsv(np.array(rgb, dtype=np.uint8)).tolist()) == hsv
    assert tuple(hsv_to_rgb(np.array(hsv, dtype=np.uint8)).tolist()) == back


@given(images)
def test_hsv_agrees_with_the_real_formula(rgb: np.ndarray) -> None:
    hsv = rgb_to_hsv(rgb).reshape(-1, 3).astype(float)
    for (hue, saturation, value), colour in zip(hsv, rgb.reshape(-1, 3) / 255):
        exact = colorsys.rgb_to_hsv(*colour)
        distance = abs(hue - exact[0] * 180)
        assert min(distance, 180 - distance) <= 1
        assert abs(saturation - exact[1] * 255) <= 1
        assert value == pytest.approx(exact[2] * 255)


@given(images, st.integers(0, 2**32 - 1))
def test_maps_size_and_type_stay(rgb: np.ndarray, seed: int) -> None:
    labels = np.zeros(rgb.shape[:2], dtype=np.int64)
    changed = ColorJitter()(Sample(Image.fromarray(rgb), labels, labels), np.random.default_rng(seed))
    assert changed.part_map is labels
    assert changed.object_map is labels
    assert np.asarray(changed.image).shape == rgb.shape


def test_grey_stays_grey_under_every_change() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    labels = np.zeros((16, 16), dtype=np.int64)
    for seed in range(40):
        changed = ColorJitter()(Sample(Image.fromarray(grey), labels, labels), np.random.default_rng(seed))
        assert np.ptp(np.asarray(changed.image), axis=-1).max() == 0


def test_hue_shift_wraps_and_stays_in_range() -> None:
    red = np.full((4, 4, 3), (200, 40, 40), dtype=np.uint8)  # hue 0
    only_hue = ColorJitter(brightness=0, contrast=(1, 1), saturation=(1, 1), hue=18)
    labels = np.zeros((4, 4), dtype=np.int64)
    hues = []
    for seed in range(200):
        changed = only_hue(Sample(Image.fromarray(red), labels, labels), np.random.default_rng(seed))
        hues.append(int(rgb_to_hsv(np.asarray(changed.image))[0, 0, 0]))
    signed = np.array([hue - 180 if hue > 90 else hue for hue in hues])
    assert signed.min() <= -16
    assert signed.max() >= 16
    assert abs(signed).max() <= 19  # one level of rounding
    assert (signed == 0).sum() > 60  # nothing happens in half of the cases


def test_brightness_and_contrast_clip() -> None:
    extremes = np.array([[[0, 0, 0], [255, 255, 255], [128, 128, 128]]], dtype=np.uint8)
    labels = np.zeros((1, 3), dtype=np.int64)
    middle = []
    for seed in range(300):
        changed = ColorJitter()(Sample(Image.fromarray(extremes), labels, labels), np.random.default_rng(seed))
        black, white, grey = np.asarray(changed.image)[0, :, 0].astype(int)
        assert black <= 48  # at most (0 + 32) * 1.5
        assert white >= 109  # at least (255 - 32) * 0.5, less what two conversions cut off
        middle.append(grey)
    assert min(middle) < 70
    assert max(middle) > 200
