"""Augmentations change what they say, consistently in image and maps, and depend on the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ovparts_hf.data.augmentation import (
    ColorJitter,
    Compose,
    PadTo,
    RandomCrop,
    RandomFlip,
    ResizeShortEdge,
    Sample,
    SwapChannels,
)
from ovparts_hf.errors import ConfigurationError

IGNORE = 255
seeds = st.integers(0, 2**32 - 1)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Small images whose red and green channels repeat the two maps, so that misplaced pixels show."""
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    labels = st.sampled_from([0, 1, 2, 7, IGNORE])
    part_map = draw(hnp.arrays(np.int64, shape, elements=labels))
    object_map = draw(hnp.arrays(np.int64, shape, elements=labels))
    pixels = np.stack([part_map, object_map, np.zeros(shape)], axis=-1).astype(np.uint8)
    return Sample(Image.fromarray(pixels), part_map, object_map)


def channels(image: Image.Image) -> tuple[np.ndarray, ...]:
    return tuple(np.moveaxis(np.asarray(image).astype(np.int64), -1, 0))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(samples())
def test_two_flips_are_none(sample: Sample) -> None:
    flip = RandomFlip(probability=1)
    once = flip(sample, generator())
    twice = flip(once, generator())
    np.testing.assert_array_equal(once.part_map, sample.part_map[:, ::-1])
    for before, after in zip(sample, twice):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_flip_happens_with_its_probability() -> None:
    ramp = np.arange(4).reshape(1, 4)
    given = Sample(Image.new("RGB", (4, 1)), ramp, ramp)
    rng = generator()
    flipped = sum(RandomFlip(0.25)(given, rng).part_map[0, 0] == 3 for _ in range(2000))
    assert 420 < flipped < 580
    assert RandomFlip(0)(given, rng) is given


@given(samples(), seeds, st.integers(1, 30), st.integers(1, 30))
def test_crop_cuts_one_window_from_image_and_maps(sample: Sample, seed: int, height: int, width: int) -> None:
    cropped = RandomCrop(height, width)(sample, generator(seed))
    expected = (min(height, sample.part_map.shape[0]), min(width, sample.part_map.shape[1]))
    assert cropped.part_map.shape == cropped.object_map.shape == cropped.image.size[::-1] == expected
    red, green, _ = channels(cropped.image)
    np.testing.assert_array_equal(red, cropped.part_map)
    np.testing.assert_array_equal(green, cropped.object_map)


def test_crop_reaches_every_place_equally() -> None:
    ramp = np.arange(5).reshape(1, 5)
    given = Sample(Image.new("RGB", (5, 1)), ramp, ramp)
    rng = generator()
    counts = np.bincount([RandomCrop(1, 2)(given, rng).part_map[0, 0] for _ in range(4000)], minlength=4)
    assert len(counts) == 4
    assert counts.min() > 880


@given(samples(), seeds, st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(24, 60))
def test_resize_keeps_labels_and_bounds(sample: Sample, seed: int, short_edges: list[int], max_size: int) -> None:
    resized = ResizeShortEdge(short_edges, max_size)(sample, generator(seed))
    assert resized.part_map.shape == resized.object_map.shape == resized.image.size[::-1]
    assert max(resized.part_map.shape) <= max_size
    assert set(np.unique(resized.part_map)) <= set(np.unique(sample.part_map))
    assert set(np.unique(resized.object_map)) <= set(np.unique(sample.object_map))


def test_resize_draws_all_lengths_and_filters_as_stated() -> None:
    rng = generator()
    pixels = rng.integers(0, 256, (10, 20, 3), dtype=np.uint8)
    labels = rng.integers(0, 9, (10, 20))
    given = Sample(Image.fromarray(pixels), labels, labels)
    heights = {ResizeShortEdge([5, 8, 20], 100)(given, rng).part_map.shape[0] for _ in range(60)}
    assert heights == {5, 8, 20}
    halved = ResizeShortEdge([5], 100)(given, rng)
    np.testing.assert_array_equal(halved.part_map, labels[::2, ::2])
    expected = np.asarray(given.image.resize((10, 5), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(np.asarray(halved.image), expected)


def test_long_side_is_capped() -> None:
    labels = np.zeros((90, 30), dtype=np.int64)
    tall = Sample(Image.new("RGB", (30, 90)), labels, labels)
    assert ResizeShortEdge([60], 45)(tall, generator()).part_map.shape == (45, 15)


@given(samples(), st.integers(1, 30), st.integers(1, 30))
def test_padding_is_grey_and_ignored_right_and_below(sample: Sample, height: int, width: int) -> None:
    padded = PadTo(height, width, IGNORE)(sample, generator())
    before = sample.part_map.shape
    assert padded.part_map.shape == (max(height, before[0]), max(width, before[1])) == padded.image.size[::-1]
    np.testing.assert_array_equal(padded.part_map[: before[0], : before[1]], sample.part_map)
    outside = np.ones(padded.part_map.shape, dtype=bool)
    outside[: before[0], : before[1]] = False
    assert (padded.part_map[outside] == IGNORE).all()
    assert (padded.object_map[outside] == IGNORE).all()
    assert (np.asarray(padded.image)[outside] == 128).all()
    np.testing.assert_array_equal(channels(padded.image)[0][~outside], channels(sample.image)[0].ravel())


def test_swapping_channels_gives_bgr() -> None:
    pixels = generator().integers(0, 256, (3, 4, 3), dtype=np.uint8)
    swapped = SwapChannels()(Sample(Image.fromarray(pixels), np.zeros((3, 4)), np.zeros((3, 4))), generator())
    np.testing.assert_array_equal(np.asarray(swapped.image), pixels[..., ::-1])


@given(samples(), seeds)
def test_the_generator_decides_alone_and_inputs_stay(sample: Sample, seed: int) -> None:
    transform = Compose(
        [
            ResizeShortEdge([6, 9, 12], 40),
            RandomCrop(7, 7),
            ColorJitter(),
            RandomFlip(),
            PadTo(8, 8, IGNORE),
        ]
    )
    copies = [np.array(array) for array in sample]
    first, second = (transform(sample, generator(seed)) for _ in range(2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    for before, after in zip(copies, sample):
        np.testing.assert_array_equal(before, np.asarray(after))


@pytest.mark.parametrize("arguments", [([], 10), ([0], 10), ([10], 0)])
def test_impossible_resize_is_refused(arguments: tuple[list[int], int]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1 pixel"):
        ResizeShortEdge(*arguments)


@pytest.mark.parametrize("arguments", [(0, 4), (4, -1)])
def test_impossible_crop_is_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="RandomCrop"):
        RandomCrop(*arguments)
