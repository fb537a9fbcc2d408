"""What a dry run prints."""

import pytest

from ovparts_hf.data.custom.split import SplitRule
from ovparts_hf.data.custom.summary import summary
from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.formats.base import Source

from ..labelled import picture, save, write_coco


@pytest.fixture
def source(tmp_path):
    write_coco(tmp_path, 8)
    return tmp_path


def look(folder, **options):
    return summary(survey(Source(str(folder)), "mine", progress=False, **options))


def test_classes_counts_and_sizes(source):
    picture(50).resize((32, 32)).save(source / "images" / "other.png")
    lines = look(source, unseen=["bus"], rule=SplitRule("25%", seed=2)).splitlines()
    assert lines[0] == f"{source}: format coco, 8 labelled images"
    assert [line.split() for line in lines[1:8]] == [
        ["class", "train", "validation"],
        ["dog", "(8", "objects)"],
        ["head", "6", "2"],
        ["tail", "6", "2"],
        ["bus", "(4", "objects,", "unseen)"],
        ["wheel", "3", "1"],
        ["door", "3", "1"],
    ]
    assert "sizes: 64 x 48 (8)" in lines
    assert "maps: 8 bits, 255 = no label" in lines
    assert "split: train 6, validation 2 (25% for validation, stratified by part, seed 2)" in lines
    assert "note: Left out: images that no label file lists (1)." in lines
    assert lines[-1] == "No problem."


def test_problems_come_last(source):
    (source / "images" / "photo00.png").write_bytes(b"x")
    lines = look(source).splitlines()
    assert lines[-2] == "1 problem:"
    assert lines[-1].startswith("- images/photo00.png is not a whole image")


def test_without_classes(source):
    save(source, {"images": [], "annotations": [], "categories": []})
    assert look(source).splitlines()[-2:] == ["1 problem:", f"- {source} holds no labelled image."]
