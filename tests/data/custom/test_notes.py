"""What is said of labelled data that is no problem."""

from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import add, polygon, save, write_coco
from .looking import look


def test_what_is_left_out_or_decided_is_noted(tmp_path):
    data = write_coco(tmp_path, 10)
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] != 10]
    data["categories"].append({"id": 999, "name": "cow:horn"})
    for number, annotation in enumerate(data["annotations"], start=1):
        annotation["id"] = number
    add(data, 1, 3, polygon(22, 10, 26, 14))  # over the tail
    add(data, 1, 3, polygon(5, 5, 5, 9))
    add(data, 2, 3, polygon(50, 5, 90, 9))
    save(tmp_path, data)
    found = look(tmp_path)
    assert found.problems == []
    assert "cow's horn" not in found.taxonomy.part_classes
    text = "\n".join(found.notes)
    for expected in (
        "Left out: 1 image without a label.",
        'Left out: classes without a label: "cow\'s horn"',
        "Left out: 1 annotation without a pixel",
        "Cut off at the border of the image: 1 polygon: 'annotation",
        "Parts overlap in 16 pixels in 1 image; the later one counts: dog's head over dog's tail (16)",
    ):
        assert expected in text


def test_underscores_in_names_are_noted_and_a_taxonomy_may_have_spaces(tmp_path):
    write_coco(tmp_path, 10, spell=lambda name: name.replace("'s ", ":").replace("dog", "wild_dog"))
    assert any(note.startswith("Names with \"_\": 'wild_dog', ") for note in look(tmp_path).notes)
    taxonomy = PartTaxonomy.from_dict({"wild dog": ["head", "tail"], "bus": ["wheel", "door"]})
    found = look(tmp_path, taxonomy)
    assert found.problems == []
    assert not any("Names with" in note for note in found.notes)


def test_parts_missing_on_one_side_are_noted(tmp_path):
    data = write_coco(tmp_path, 10)
    data["categories"].append({"id": 999, "name": "cow:horn"})
    add(data, 1, 999, polygon(1, 40, 9, 46))
    save(tmp_path, data)
    assert any(note == 'No validation image has "cow\'s horn".' for note in look(tmp_path).notes)
