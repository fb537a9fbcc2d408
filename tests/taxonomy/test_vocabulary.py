"""Vocabularies as people type them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.errors import OVPartsError
from ovparts_hf.taxonomy import PASCAL_PART_116, PartTaxonomy
from ovparts_hf.taxonomy.vocabulary import Vocabulary, parse_parts

DOG = ("dog's head", "dog's ear", "bus's wheel")


@pytest.mark.parametrize(
    "names",
    [
        {"dog": ["head", "ear"], "bus": ["wheel"]},
        {"dog": ("head", "ear"), "bus": ["wheel"]},
        ["dog's head", "dog's ear", "bus's wheel"],
        ("dog's head", " dog's ear ", "bus's wheel"),
        PartTaxonomy.from_part_classes(DOG),
        "dog: head, ear; bus: wheel",
        "dog: head , ear\n\nbus:wheel;",
        "dog: head; dog's ear, bus’s wheel",
        "dog：head，ear；bus：wheel",
        "dog：head、ear；bus：wheel",
        ["dog’s head", "dogʼs ear", "bus‘s wheel"],
        np.array(["dog's head", "dog's ear", "bus's wheel"]),
        {"dog": np.array(["head", "ear"]), "bus": (word for word in ["wheel"])},
        {"dog": {"head": 1, "ear": 2}.keys(), "bus": {"wheel"}},
    ],
)
def test_every_form_means_the_same(names):
    vocabulary = Vocabulary.of(names)
    assert vocabulary.classes == DOG
    assert dict(vocabulary.objects) == {"dog": (0, 1), "bus": (2,)}


def test_objects_without_parts_are_no_objects_to_look_for():
    vocabulary = Vocabulary.of(PASCAL_PART_116)
    assert vocabulary.classes == PASCAL_PART_116.part_classes
    assert "boat" not in vocabulary.objects
    assert sorted(i for ids in vocabulary.objects.values() for i in ids) == list(range(116))


def test_other_iterables_than_lists():
    assert Vocabulary.of(name for name in DOG).classes == DOG
    assert Vocabulary.of(set(DOG)).classes == Vocabulary.of(frozenset(DOG)).classes == tuple(sorted(DOG))
    assert Vocabulary.of({"dog": {"head", "ear", "tail"}}).classes == ("dog's ear", "dog's head", "dog's tail")
    assert all(type(name) is str for name in Vocabulary.of(np.array(DOG)).classes)


@pytest.mark.parametrize(
    "names",
    [["men's shoe's left lace"], {"men's shoe": ["left lace"]}, {"men’s shoe": ["left lace"]}, "men's shoe: left lace"],
)
def test_several_possessives_are_read_alike(names):
    vocabulary = Vocabulary.of(names)
    assert vocabulary.classes == ("men's shoe's left lace",)
    assert dict(vocabulary.objects) == {"men's shoe": (0,)}
    assert vocabulary.parts_of("men’s shoe") == (0,)


def test_text_takes_free_words_as_a_list_does():
    vocabulary = Vocabulary.of("a red door, sky; dog: left ear\nbus's wheel")
    assert vocabulary == Vocabulary.of(["a red door", "sky", "dog's left ear", "bus's wheel"])


def test_free_text_belongs_to_no_object():
    vocabulary = Vocabulary.of(["a red door", "dog's head", "men's hat"])
    assert vocabulary.classes == ("a red door", "dog's head", "men's hat")
    assert dict(vocabulary.objects) == {"dog": (1,), "men": (2,)}
    with pytest.raises(OVPartsError, match=r"no part of 'cat'; its objects are \['dog', 'men'\]"):
        vocabulary.parts_of("cat")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "No parts are named"),
        ([], "Name parts as"),
        (7, "Name parts as"),
        (["dog's head", ""], "non-empty string; '' is not"),
        (["dog's head", 3], "non-empty string; 3 is not"),
        (["dog's \ud800"], "non-empty string"),
        ({"dog": ["\ud800"]}, "must be a list of strings"),
        (["dog's head", "dog's head "], "named twice"),
        (["dog's head", "Dog's  head"], '"dog\'s head" is named twice, also as'),
        (["caf\u00e9", "cafe\u0301"], "is named twice, also as"),
        ({"dog": ["head", "Head"]}, "Duplicate part class"),
        ({"dog": ["head"], "DOG": ["ear"]}, "Duplicate object class"),
        ("dog: head, HEAD", "Duplicate part class"),
        ("dog's head; dog: Head", "named twice, also as"),
        ({"car": ["driver's seat"]}, "would be read as a part of another object"),
        (b"dog", "Name parts as"),
        (np.array([["a", "b"]]), "non-empty string"),
        ({"dog": "head"}, "must be a list of strings"),
        ({"dog": []}, "at least one part class"),
        ({"dog": ["head", ""]}, "An empty part was given to 'dog'"),
        ({"dog": [" "]}, "An empty part was given to 'dog'"),
        ({"dog": ["head", "head"]}, "Duplicate part class"),
        ("", "No parts are named"),
        (" ; \n", "No parts are named"),
        ("dog:", "does not name"),
        (": head", "does not name"),
        ("dog: head; dog: ear", "'dog' is named twice"),
    ],
)
def test_what_cannot_be_understood_is_refused(names, message):
    with pytest.raises(OVPartsError, match=message):
        Vocabulary.of(names)


NAMES = st.text(
    st.characters(exclude_characters=":;,：；，、\n'", exclude_categories=["C", "Z"]), min_size=1, max_size=8
)


@given(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=4))
def test_parsing_undoes_writing(parts):
    text = "; ".join(f"{name}: {', '.join(words)}" for name, words in parts.items())
    try:
        expected = Vocabulary.of(parts)
    except OVPartsError:  # words that differ in case only
        return
    assert Vocabulary.of(text) == Vocabulary.of(parse_parts(text)) == expected
