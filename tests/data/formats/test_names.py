"""From labels to objects and parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.data.formats.names import SEPARATORS, is_background, parse_labels, separator_of
from ovparts_hf.data.problems import Problems


def parse(labels, supercategories=()):
    problems = Problems()
    return parse_labels(labels, "labels.json", problems, supercategories), problems


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["dog's head/neck", "dog's ear", "dog"], [("dog", "head/neck"), ("dog", "ear"), ("dog", None)]),
        (["men's shoe/lace", "shirt/sleeve"], [("men's shoe", "lace"), ("shirt", "sleeve")]),
        (["men's shoe:lace"], [("men's shoe", "lace")]),
        (["men's shoe's lace"], [("men's shoe", "lace")]),
        (["car_(automobile):antenna"], [("car_(automobile)", "antenna")]),
        ([" dog  :  left   ear "], [("dog", "left ear")]),
        (["_background_", "dog:ear"], [None, ("dog", "ear")]),
        (["dog", "cat"], [("dog", None), ("cat", None)]),
    ],
)
def test_the_separator_of_most_labels_counts(labels, expected):
    assert parse(labels) == (expected, [])


@pytest.mark.parametrize("label", ["dog:", ":ear", ":", "dog: ", "dog:cat's ear", "\ud800:ear"])
def test_half_a_label_is_a_problem(label):
    classes, problems = parse([label, "dog:head", "cat:head"])
    assert classes[0] is None
    assert len(problems) == 1
    assert "labels.json" in problems[0]


@pytest.mark.parametrize("label", ["", "  ", "\t"])
def test_a_blank_label_is_a_problem(label):
    assert len(parse([label, "dog:head"])[1]) == 1


@pytest.mark.parametrize("label", ["background", "_background_", "__ignore__", "Void", " none "])
def test_backgrounds(label):
    assert is_background(label)


@pytest.mark.parametrize("label", ["dog head", "Dog_head", "DOG-head", "head"])
def test_a_supercategory_may_be_repeated(label):
    assert parse([label, "doghouse"], ["dog", "dog"]) == ([("dog", "head"), ("dog", "doghouse")], [])


def test_no_separator():
    assert separator_of(["dog", "cat"]) is None
    assert separator_of([]) is None


NAMES = st.text("abc xyz-()", min_size=1).map(str.strip).filter(bool)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1), st.sampled_from(SEPARATORS))
def test_what_is_joined_is_parted_again(pairs, separator):
    expected = [(" ".join(a.split()), " ".join(b.split())) for a, b in pairs]
    assert parse([f"{a}{separator}{b}" for a, b in pairs]) == (expected, [])
