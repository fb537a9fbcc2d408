"""The taxonomy of labels, and names that must fit a given one."""

import pytest

from ovparts_hf.data.custom.classes import ClassIds, class_ids, suggestion, taxonomy_of, with_seen
from ovparts_hf.data.problems import Problems
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.taxonomy import PartTaxonomy

ANIMALS = PartTaxonomy.from_dict({"dog": ["ear", "left leg"], "cat": ["ear"], "bus": ["wheel"]})


def derive(used, listed=()):
    problems = Problems()
    return taxonomy_of(used, listed, "mine", problems), problems


def test_classes_are_sorted_unless_the_source_lists_them():
    used = [("dog", "tail"), ("cat", "ear"), ("dog", "ear"), ("sky", None)]
    taxonomy, problems = derive(used)
    assert problems == []
    assert taxonomy.name == "mine"
    assert taxonomy.part_classes == ("cat's ear", "dog's ear", "dog's tail")
    assert taxonomy.object_classes == ("cat", "dog", "sky")
    assert taxonomy.seen_objects == taxonomy.object_classes
    taxonomy, _ = derive(used, [("dog", "tail"), ("dog", None), ("dog", "ear"), ("cow", "ear"), ("cat", "ear")])
    assert taxonomy.part_classes == ("dog's tail", "dog's ear", "cat's ear")
    assert taxonomy.object_classes == ("dog", "cat", "sky")


def test_an_apostrophe_in_the_object():
    taxonomy, problems = derive([("men's shoe", "lace")])
    assert problems == []
    assert taxonomy.part_name(0) == "lace"


@pytest.mark.parametrize(("count", "ignore_index", "bits"), [(255, 255, 8), (256, 65535, 16)])
def test_the_ignore_index_follows_the_number_of_classes(count, ignore_index, bits):
    taxonomy, _ = derive([("dog", f"part {i}") for i in range(count)])
    assert (taxonomy.ignore_index, taxonomy.mask_bits) == (ignore_index, bits)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([("dog", None), ("cat", None)], "No label names a part"),
        ([], "No label names a part"),
        ([("dog", "ear"), ("dog", "Ear")], "read alike"),
        ([("dog", "ear"), ("Dog", "tail")], "read alike"),
    ],
)
def test_labels_that_make_no_taxonomy(used, expected):
    taxonomy, problems = derive(used)
    assert taxonomy is None
    assert any(expected in problem for problem in problems)


def test_names_fit_a_taxonomy_whatever_their_case_and_underscores():
    problems = Problems()
    ids = class_ids([("Dog", "left_leg"), ("DOG", None), ("bus", "wheel")], ANIMALS, problems)
    assert problems == []
    assert ids == {
        ("Dog", "left_leg"): ClassIds(0, 1),
        ("DOG", None): ClassIds(0, None),
        ("bus", "wheel"): ClassIds(2, 3),
    }


def test_an_unknown_name_is_a_problem_with_suggestions():
    problems = Problems()
    assert class_ids([("dog", "eer"), ("cow", None)], ANIMALS, problems) == {}
    assert len(problems) == 2
    assert '"dog\'s eer"' in problems[0]
    assert 'Did you mean "dog\'s ear"' in problems[0]
    assert "'cow'" in problems[1]
    assert suggestion("zzzz", ["dog"]) == " It has ['dog']."


def test_seen_and_unseen_objects():
    assert with_seen(ANIMALS, None, None) == ANIMALS
    assert with_seen(ANIMALS, ["Dog", "bus"], None).seen_objects == ("dog", "bus")
    assert with_seen(ANIMALS, None, ["dog"]).seen_objects == ("cat", "bus")


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        (["dog"], ["cat"], "either"),
        (["dgo"], None, "Did you mean 'dog'"),
        (None, ["dog", "cat", "bus"], "No seen object has a part"),
        ([], None, "No seen object has a part"),
    ],
)
def test_seen_objects_that_are_refused(seen, unseen, expected):
    with pytest.raises(ConfigurationError, match=expected):
        with_seen(ANIMALS, seen, unseen)
