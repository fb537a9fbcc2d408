"""Splits by the names of files and folders."""

from pathlib import PurePosixPath

import pytest

from ovparts_hf.data.formats.splits import listed_splits, split_of


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


def test_lists_of_pascal_voc(tmp_path):
    assert listed_splits(tmp_path) == {}
    folder = tmp_path / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("\ufeffa\n\nsub/b\nboth\n", encoding="utf-8")
    (folder / "Val.txt").write_text('"c d"\r\nboth\r\n')
    (folder / "trainval.txt").write_text("a\n")
    (folder / "dog_val.txt").write_text("a -1\n")
    assert listed_splits(tmp_path) == {"a": "train", "sub/b": "train", "c d": "validation"}
