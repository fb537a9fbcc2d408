"""Dividing images: exact numbers, groups, every part on both sides, and the same again."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.data.custom.split import FORMAT, SplitRule, divide, read_split, validation_count
from ovparts_hf.errors import ConfigurationError


@pytest.mark.parametrize(("text", "expected"), [("20%", 10), ("0.2", 10), (" 33.3 %", 16.65), ("7", 7), (".5", 25)])
def test_shares_and_numbers(text, expected):
    assert validation_count(text, 50) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "0", "0%", "100%", "1.5", "-3", "many", "20%%", "nan", "1e3", "0.0"])
def test_what_is_neither(text):
    with pytest.raises(ConfigurationError, match="20%"):
        SplitRule(text)


@pytest.mark.parametrize("rule", [{"group": "("}, {"seed": -1}])
def test_rules_that_are_refused(rule):
    with pytest.raises(ConfigurationError):
        SplitRule(**rule)


def test_groups_by_name():
    rule = SplitRule(group=r"(video\d+)_")
    assert rule.group_of("a/video12_0003.jpg") == "video12"
    assert rule.group_of("a/still.jpg") is None
    assert SplitRule(group=r"\d\d").group_of("a/12_3.jpg") == "12"
    assert SplitRule().group_of("a") is None


def test_parts_are_divided_as_the_images_are():
    generator = np.random.default_rng(0)
    parts = [{part for part in range(6) if generator.random() < 0.1 * (part + 1)} | {6} for _ in range(200)]
    validates = divide(parts, range(200), 40, 0, {})
    assert sum(validates) == 40
    for part in range(7):
        total = sum(part in ids for ids in parts)
        there = sum(part in ids for ids, side in zip(parts, validates) if side)
        assert abs(there - 0.2 * total) <= 1.5, part


def test_a_rare_part_is_on_both_sides_and_a_single_one_in_training():
    parts = [{0}] * 28 + [{0, 1}, {0, 1}, {0, 2}]
    validates = divide(parts, range(31), 6, 0, {})
    assert sum(validates) == 6
    assert validates[28] != validates[29]
    assert not validates[30]


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 4)), st.integers(0, 5)), min_size=2, max_size=30),
    st.integers(1, 10),
    st.integers(0, 3),
)
def test_groups_stay_together_and_neither_side_is_empty(images, count, seed):
    parts, groups = [parts for parts, _ in images], [group for _, group in images]
    validates = divide(parts, groups, count, seed, {})
    assert validates == divide(parts, groups, count, seed, {})
    for group in set(groups):
        assert len({side for side, other in zip(validates, groups) if other == group}) == 1
    if len(set(groups)) > 1:
        assert set(validates) == {True, False}


def test_the_seed_matters_and_fixed_images_stay():
    parts = [{0}] * 30
    drawn = {tuple(divide(parts, range(30), 6, seed, {})) for seed in range(5)}
    assert len(drawn) > 1
    fixed = {0: True, 1: False, 2: True}
    for seed in range(5):
        validates = divide(parts, range(30), 6, seed, fixed)
        assert {image: validates[image] for image in fixed} == fixed
        assert sum(validates) == 6


def test_many_images_take_seconds():
    generator = np.random.default_rng(0)
    parts = [set(generator.integers(0, 50, 5).tolist()) for _ in range(6000)]
    assert sum(divide(parts, range(6000), 600, 0, {})) == 600


def test_earlier_splits_are_read(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "images": {"train": ["a"], "validation": ["b"]}}))
    assert read_split(path) == {"a": False, "b": True}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "ovparts-split", "images": {"train": []}}'])
def test_other_files_are_no_splits(text, tmp_path):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ConfigurationError, match="split.json"):
        read_split(tmp_path / "split.json")
