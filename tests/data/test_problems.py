"""Collecting problems."""

import pytest

from ovparts_hf.data.problems import Problems
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
