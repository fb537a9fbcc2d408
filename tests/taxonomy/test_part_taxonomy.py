import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.errors import TaxonomyError
from ovparts_hf.taxonomy import (
    ADE20K_PART_234,
    PACO_LVIS,
    PARTIMAGENET,
    PARTIMAGENET_OOD,
    PASCAL_PART_116,
    TAXONOMIES,
    PartTaxonomy,
    split_part_class,
)
from ovparts_hf.taxonomy.vocabulary import read_parts

from ..footprint import packages_loaded

BENCHMARKS = {  # objects, with parts, seen objects, parts, seen parts, distinct part names, ignore index
    "pascal": (PASCAL_PART_116, (20, 16, 15, 116, 74, 42, 255)),
    "ade": (ADE20K_PART_234, (44, 44, 33, 234, 176, 85, 65535)),
    "partimagenet": (PARTIMAGENET, (40, 40, 25, 147, 92, 13, 65535)),
    "partimagenet-ood": (PARTIMAGENET_OOD, (128, 128, 109, 482, 410, 13, 65535)),
    "paco": (PACO_LVIS, (75, 73, 75, 456, 456, 200, 65535)),
}
PETS = {
    "name": "pets",
    "object_classes": ["dog", "cat"],
    "part_classes": ["cat's ear", "dog's ear", "dog's tail"],
    "seen_objects": ["cat"],
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_counts(name):
    taxonomy, expected = BENCHMARKS[name]
    with_parts = [i for i in range(len(taxonomy.object_classes)) if taxonomy.parts_of(i)]
    names = {taxonomy.part_name(i) for i in range(len(taxonomy.part_classes))}
    assert expected == (
        len(taxonomy.object_classes),
        len(with_parts),
        len(taxonomy.seen_objects),
        len(taxonomy.part_classes),
        len(taxonomy.seen_part_ids),
        len(names),
        taxonomy.ignore_index,
    )
    assert sorted(taxonomy.seen_part_ids + taxonomy.unseen_part_ids) == list(range(len(taxonomy.part_classes)))


@pytest.mark.parametrize("taxonomy", [taxonomy for taxonomy, _ in BENCHMARKS.values()], ids=BENCHMARKS)
def test_parts_and_objects_agree(taxonomy):
    for part_id, part in enumerate(taxonomy.part_classes):
        object_id = taxonomy.object_of(part_id)
        assert part_id in taxonomy.parts_of(object_id)
        assert part == f"{taxonomy.object_classes[object_id]}'s {taxonomy.part_name(part_id)}"
        assert "'s" not in taxonomy.prompt(part_id)
    assert set(taxonomy.unseen_part_ids).isdisjoint(taxonomy.seen_part_ids)


def test_benchmark_vocabularies_by_name():
    assert TAXONOMIES["pascal-part-116"] is PASCAL_PART_116 and TAXONOMIES["ade20k-part-234"] is ADE20K_PART_234
    assert list(TAXONOMIES) == [taxonomy.name for taxonomy in TAXONOMIES.values()]


@pytest.mark.parametrize(("ignore_index", "bits"), [(254, 8), (255, 8), (256, 16), (65535, 16)])
def test_maps_take_as_many_bits_as_the_ignore_index(ignore_index, bits):
    assert PartTaxonomy.from_dict({**PETS, "ignore_index": ignore_index}).mask_bits == bits


def test_numpy_is_enough():
    program = "from ovparts_hf import PartTaxonomy; PartTaxonomy.from_dict({'dog': ['ear']})"
    assert packages_loaded(program) == {"numpy", "ovparts_hf"}


def test_objects_are_told_apart_by_id_not_by_substring():
    chair = ADE20K_PART_234.object_classes.index("chair")
    owners = {ADE20K_PART_234.part_classes[i].split("'s")[0] for i in ADE20K_PART_234.parts_of(chair)}
    assert owners == {"chair"}


@pytest.mark.parametrize(
    ("part_class", "expected", "prompt"),
    [
        ("dog's ear", ("dog", "ear"), "dog ear"),
        ("chest of drawers's door", ("chest of drawers", "door"), "chest of drawers door"),
        ("computer's computer case", ("computer", "computer case"), "computer computer case"),
        ("pool table's bed", ("pool table", "bed"), "pool table bed"),
    ],
)
def test_odd_names(part_class, expected, prompt):
    assert split_part_class(part_class) == expected
    taxonomy = PartTaxonomy.from_part_classes([part_class])
    assert (taxonomy.object_classes[0], taxonomy.part_name(0)) == expected
    assert taxonomy.prompts == (prompt,)


@pytest.mark.parametrize("text", ["dog", "dog's", "'s ear", "dogs ear", "  's  "])
def test_what_is_no_part_class(text):
    with pytest.raises(TaxonomyError, match="is not a part class"):
        split_part_class(text)


def test_seen_view_numbers_from_zero_in_order():
    seen = PASCAL_PART_116.seen()
    assert len(seen.part_classes) == 74
    assert seen.part_classes == tuple(PASCAL_PART_116.part_classes[i] for i in PASCAL_PART_116.seen_part_ids)
    assert set(seen.object_classes) == set(PASCAL_PART_116.seen_objects)
    assert seen.unseen_part_ids == ()
    assert seen.seen() == PartTaxonomy.from_dict({**seen.to_dict(), "name": f"{seen.name}-seen"})


def test_lookup_translates_maps():
    taxonomy = PartTaxonomy.from_dict(PETS)
    table = taxonomy.part_lookup(taxonomy.seen())
    part_map = np.array([[0, 1, 2, 255]])
    np.testing.assert_array_equal(table[part_map], [[0, 255, 255, 255]])
    np.testing.assert_array_equal(taxonomy.object_lookup(taxonomy.seen())[[0, 1, 255]], [255, 0, 255])


def test_objects_are_looked_up_as_their_first_parts():
    target = PartTaxonomy.from_dict({"cat": ["tail"], "robot": [], "dog": ["leg", "ear"]})
    source = PartTaxonomy.from_dict({"dog": ["ear"], "bird": ["beak"], "robot": ["arm"], "cat": ["ear"]})
    table = source.object_part_lookup(target)
    assert len(table) == 256
    assert table[[0, 1, 2, 3, 255]].tolist() == [1, 255, 255, 0, 255]


def test_lookup_between_vocabularies_goes_by_name():
    table = ADE20K_PART_234.part_lookup(PASCAL_PART_116)
    assert len(table) == 65536
    shared = {name for name in ADE20K_PART_234.part_classes if name in PASCAL_PART_116.part_classes}
    assert "bus's wheel" in shared
    assert set(np.flatnonzero(table != 255)) == {ADE20K_PART_234.part_classes.index(name) for name in shared}


def test_words_make_a_taxonomy():
    taxonomy = PartTaxonomy.from_dict({"dog": ["head", "ear"], "baker's table": ["leg"]})
    assert taxonomy.part_classes == ("dog's head", "dog's ear", "baker's table's leg")
    assert taxonomy.part_name(2) == "leg"
    assert taxonomy.seen_part_ids == (0, 1, 2)


WORD = st.text(st.characters(whitelist_categories=["Ll"]), min_size=1, max_size=6)


@given(st.dictionaries(WORD, st.lists(WORD, min_size=1, unique=True), min_size=1, max_size=5))
def test_json_round_trip(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("taxonomy") / "taxonomy.json"
    taxonomy = PartTaxonomy.from_dict(words)
    taxonomy.to_json(path)
    assert PartTaxonomy.from_json(path) == taxonomy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part_classes": []}, "at least one part class"),
        ({"object_classes": []}, "unknown object 'cat'"),
        ({"part_classes": ["dog's ear", "dog's ear"]}, r"Duplicate part class: \[\"dog's ear\"\]"),
        ({"object_classes": ["dog", "cat", "dog"]}, r"Duplicate object class: \['dog'\]"),
        ({"part_classes": ["cow's ear"]}, "unknown object 'cow'"),
        ({"part_classes": ["ear"]}, "is not a part class"),
        ({"part_classes": "cat's ear"}, "must be a list of strings"),
        ({"name": 3}, "name must be a list of strings"),
        ({"part_classes": ["cat's ear", 3]}, "holds 3"),
        ({"seen_objects": ["cow"]}, r"Seen objects \['cow'\]"),
        ({"ignore_index": 2}, "must lie above the largest class id 2"),
        ({"ignore_index": 70000}, "at most 65535"),
        ({"part_object_ids": [1, 0]}, "2 part_object_ids were given for 3"),
        ({"part_object_ids": [1, 0, 7]}, "ids run from 0 to 1"),
        ({"part_object_ids": [0, 0, 0]}, "is given to object 'dog'"),
        ({"colour": "red"}, r"Unknown taxonomy keys \['colour'\]"),
    ],
)
def test_bad_taxonomies(change, message):
    with pytest.raises(TaxonomyError, match=message):
        PartTaxonomy.from_dict({**PETS, **change})


@pytest.mark.parametrize("words", [{}, {"dog": []}, {"": ["ear"]}, {"dog": "ear"}, ["dog"], {"dog": ["ear", "ear"]}])
def test_bad_words(words):
    with pytest.raises(TaxonomyError):
        PartTaxonomy.from_dict(words)


def test_bad_json(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(TaxonomyError, match="bad.json is not valid JSON"):
        PartTaxonomy.from_json(tmp_path / "bad.json")
    with pytest.raises(TaxonomyError, match="gone.json cannot be read: No such file"):
        PartTaxonomy.from_json(tmp_path / "gone.json")


def test_json_is_readable(tmp_path):
    PASCAL_PART_116.to_json(tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())["part_classes"][0] == "aeroplane's body"


def test_the_benchmark_s_substring_rule_matters_for_eight_objects():
    def differing(taxonomy):
        pairs = enumerate(taxonomy.object_classes)
        return {name for i, name in pairs if taxonomy.parts_named_after(i) != taxonomy.parts_of(i)}

    assert differing(PASCAL_PART_116) == set()
    assert differing(ADE20K_PART_234) == {"chair", "table", "door", "light", "shelf", "oven", "bed", "washer"}
    chair = ADE20K_PART_234.object_classes.index("chair")
    names = {ADE20K_PART_234.part_classes[i].split("'s")[0] for i in ADE20K_PART_234.parts_named_after(chair)}
    assert names == {"chair", "armchair", "swivel chair"}


def test_a_file_that_names_an_object_twice_is_refused(tmp_path):
    path = tmp_path / "parts.json"
    path.write_text('{"dog": ["head"], "cat": ["ear"], "dog": ["tail"]}')
    for read in (PartTaxonomy.from_json, read_parts):
        with pytest.raises(TaxonomyError, match="'dog' occurs twice"):
            read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[3]", "3 is not"),
        ("[]", "Name parts as"),
        ('["red door", "red  door"]', "is named twice"),
        ('["a", " "]', "' ' is not"),
    ],
)
def test_what_is_wrong_with_a_list_of_classes_is_said_of_its_file(text, message, tmp_path):
    path = tmp_path / "parts.json"
    path.write_text(text)
    with pytest.raises(TaxonomyError, match=rf"parts\.json: .*{message}"):
        read_parts(path)
