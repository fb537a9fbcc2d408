"""Boxes as visitors write them."""

import pytest

from ovparts_hf.app import Limits
from ovparts_hf.app.boxes import read_boxes
from ovparts_hf.errors import OVPartsError
from ovparts_hf.taxonomy.vocabulary import Vocabulary

BOTH = Vocabulary.of("dog: head, ear; men's shoe: lace")


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("", None),
        (" \n ; ", None),
        ("dog: 1,2,3,4", {"dog": [[1, 2, 3, 4]]}),
        (
            "dog: 1, 2, 3, 4\nmen’s shoe : 5 , 6,7, 8\n dog:9,9,10,10",
            {"dog": [[1, 2, 3, 4], [9, 9, 10, 10]], "men's shoe": [[5, 6, 7, 8]]},
        ),
        ("dog: -1, 0, 3, 4; dog: 0, 0, 1, 1", {"dog": [[-1, 0, 3, 4], [0, 0, 1, 1]]}),
    ],
)
def test_boxes_are_read(text, boxes):
    assert read_boxes(text, BOTH, Limits()) == boxes


def test_the_only_object_needs_no_name():
    assert read_boxes("1,2,3,4", Vocabulary.of("dog: head"), Limits()) == {"dog": [[1, 2, 3, 4]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4", r"Say which object each box is: one of \['dog', \"men's shoe\"\]"),
        ("cat: 1,2,3,4", "no part of 'cat'"),
        ("dog: 1,2,3", "'dog: 1,2,3' is no box; write"),
        ("dog: 1,2,3,4,5", "is no box"),
        ("dog: 1.5,2,3,4", "is no box"),
        ("dog", "is no box"),
        ("dog: 1,2,3,4\n" * 129, "129 boxes are given; at most 128 are allowed"),
    ],
)
def test_what_is_no_box_gets_a_message(text, message):
    with pytest.raises(OVPartsError, match=message):
        read_boxes(text, BOTH, Limits())
