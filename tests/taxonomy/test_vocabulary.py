"""Vocabularies as people type them."""

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


def test_free_text_belongs_to_no_object():
    vocabulary = Vocabulary.of(["a red door", "dog's head", "men's hat"])
    assert vocabulary.classes == ("a red door", "dog's head", "men's hat")
    assert dict(vocabulary.objects) == {"dog": (1,), "men": (2,)}
    with pytest.raises(OVPartsError, match=r"no part of 'cat'; its objects are \['dog', 'men'\]"):
        vocabulary.parts_of("cat")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "at least one"),
        ([], "Name parts as"),
        (7, "Name parts as"),
        (["dog's head", ""], "non-empty string; '' is not"),
        (["dog's head", 3], "non-empty string; 3 is not"),
        (["dog's head", "dog's head "], "named twice"),
        ({"dog": "head"}, "must be a list of strings"),
        ({"dog": []}, "at least one part class"),
        ({"dog": ["head", ""]}, "An empty part was given to 'dog'"),
        ({"dog": [" "]}, "An empty part was given to 'dog'"),
        ({"dog": ["head", "head"]}, "Duplicate part class"),
        ("", "No parts are named"),
        (" ; \n", "No parts are named"),
        ("dog", "'dog' does not name an object and its parts"),
        ("dog:", "does not name"),
        (": head", "does not name"),
        ("dog: head; dog: ear", "'dog' is named twice"),
    ],
)
def test_what_cannot_be_understood_is_refused(names, message):
    with pytest.raises(OVPartsError, match=message):
        Vocabulary.of(names)


NAMES = st.text(st.characters(exclude_characters=":;,\n'", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=4))
def test_parsing_undoes_writing(parts):
    assert parse_parts("; ".join(f"{name}: {', '.join(words)}" for name, words in parts.items())) == parts
