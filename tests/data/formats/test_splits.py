"""Splits by the names of files and folders."""

from pathlib import PurePosixPath

import pytest

from ovparts_hf.data.formats.splits import split_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("instances_train.json", "train"),
        ("annotations/instances_val2017.json", "validation"),
        ("valid/_annotations.coco.json", "validation"),
        ("training/a", "train"),
        ("paco_lvis_v1_test.json", "test"),
        ("train/val.json", "validation"),
        ("labels.json", None),
        (".", None),
        ("trainer/contest.json", None),
    ],
)
def test_words_of_a_path(path, expected):
    assert split_of(PurePosixPath(path)) == expected
