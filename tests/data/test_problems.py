"""Collecting problems."""

from collections import Counter

import pytest

from ovparts_hf.data.problems import Problems, left_out
from ovparts_hf.errors import DatasetError


def fail(error):
    raise error


def test_faults_of_the_data_are_noted_and_others_pass():
    problems = Problems()
    assert problems.attempt(fail, DatasetError("a.png is broken.")) is None
    assert problems.attempt(max, 1, 2) == 2
    assert problems == ["a.png is broken."]
    with pytest.raises(KeyError):
        problems.attempt(fail, KeyError("a fault of ours"))


def test_the_first_problems_are_shown_and_the_others_counted():
    Problems().refuse("labels")
    with pytest.raises(DatasetError, match=r"^labels has 1 problem:\n- no$"):
        Problems(["no"]).refuse("labels", "; see there")
    with pytest.raises(DatasetError) as error:
        Problems(f"fault {i}" for i in range(1500)).refuse("labels", "; see there")
    lines = str(error.value).splitlines()
    assert lines[:2] == ["labels has 1,500 problems:", "- fault 0"] and lines[-1] == "(1,480 more; see there.)"
    assert len(lines) == 22


def test_what_is_left_out_is_counted():
    counts = Counter({("image", "without a label"): 1, ("shape", "without an area"): 2000, ("task", "of none"): 0})
    assert left_out(counts) == ["Left out: 1 image without a label.", "Left out: 2,000 shapes without an area."]
