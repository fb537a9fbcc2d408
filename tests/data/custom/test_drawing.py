"""Parts one over another, and which objects they make."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ovparts_hf.data.consistency import contradiction
from ovparts_hf.data.custom.classes import ClassIds
from ovparts_hf.data.custom.drawing import draw
from ovparts_hf.data.formats.base import Annotation, LabelledImage
from ovparts_hf.data.formats.images import ImageBytes
from ovparts_hf.data.formats.shapes import Segmentation
from ovparts_hf.data.masks import LabelMap, decode_rle
from ovparts_hf.data.problems import Problems
from ovparts_hf.data.rows import instance_row
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict({"dog": ["head", "tail"], "bus": ["wheel"]})
IDS = {
    ("dog", "head"): ClassIds(0, 0),
    ("dog", "tail"): ClassIds(0, 1),
    ("bus", "wheel"): ClassIds(1, 2),
    ("dog", None): ClassIds(0, None),
}
SIZE = (20, 30)


def box(left, top, right, bottom):
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def drawn(*annotations, problems=None):
    """Each annotation is (object, part, box) or (object, part, box, instance)."""
    made = [
        Annotation(
            f"annotation {number}",
            (object_name, part_name),
            Segmentation.of([[left, top, right, top, right, bottom, left, bottom]]),
            *instance,
        )
        for number, (object_name, part_name, (left, top, right, bottom), *instance) in enumerate(annotations)
    ]
    image = LabelledImage("a", ImageBytes(b"", "a.png"), tuple(made))
    return draw(image, SIZE, TAXONOMY, IDS, Problems() if problems is None else problems)


def same_objects(drawing, expected):
    assert [object_id for object_id, _ in drawing.objects] == [object_id for object_id, _ in expected]
    for (_, mask), (_, other) in zip(drawing.objects, expected):
        np.testing.assert_array_equal(mask, other)


def test_later_parts_win_and_overlaps_are_counted():
    drawing = drawn(("dog", "head", (0, 0, 10, 10)), ("dog", "tail", (5, 5, 15, 15)), ("dog", "tail", (5, 5, 8, 8)))
    expected = np.full(SIZE, 255, np.uint8)
    expected[0:10, 0:10], expected[5:15, 5:15] = 0, 1
    np.testing.assert_array_equal(drawing.part_map, expected)
    assert drawing.overlaps == {(0, 1): 25}


def test_without_object_annotations_the_union_of_parts_is_the_object():
    drawing = drawn(("dog", "head", (0, 0, 5, 5)), ("bus", "wheel", (20, 0, 25, 5)), ("dog", "tail", (10, 0, 15, 5)))
    same_objects(drawing, [(0, box(0, 0, 5, 5) | box(10, 0, 15, 5)), (1, box(20, 0, 25, 5))])


def test_objects_are_kept_as_they_are_given():
    drawing = drawn(
        ("dog", None, (0, 0, 12, 12)),
        ("dog", None, (15, 0, 28, 12)),
        ("dog", "head", (1, 1, 5, 5)),
        ("dog", "head", (16, 1, 20, 14)),  # most of it is inside
    )
    same_objects(drawing, [(0, box(0, 0, 12, 12)), (0, box(15, 0, 28, 12))])


def test_an_object_of_its_own_is_made_of_parts_outside_of_all_that_are_given():
    drawing = drawn(("dog", None, (0, 0, 12, 12)), ("dog", "head", (1, 1, 5, 5)), ("dog", "tail", (20, 1, 25, 5)))
    same_objects(drawing, [(0, box(0, 0, 12, 12)), (0, box(20, 1, 25, 5))])
    assert drawing.extended == 0


def test_parts_of_one_instance_are_one_object():
    drawing = drawn(
        ("dog", "head", (0, 0, 5, 5), "first"),
        ("dog", "head", (10, 0, 15, 5), "second"),
        ("dog", "tail", (0, 10, 5, 15), "first"),
    )
    same_objects(drawing, [(0, box(0, 0, 5, 5) | box(0, 10, 5, 15)), (0, box(10, 0, 15, 5))])


def test_a_part_far_from_its_own_object_extends_it():
    drawing = drawn(("dog", None, (0, 0, 5, 5), 7), ("dog", "head", (10, 0, 15, 5), 7))
    same_objects(drawing, [(0, box(0, 0, 5, 5) | box(10, 0, 15, 5))])
    assert drawing.extended == 1


def test_pieces_of_one_object_are_joined():
    drawing = drawn(("dog", None, (0, 0, 5, 5), 7), ("dog", None, (10, 0, 15, 5), 7), ("dog", "head", (0, 0, 3, 3), 7))
    same_objects(drawing, [(0, box(0, 0, 5, 5) | box(10, 0, 15, 5))])


def test_one_key_in_two_classes_is_two_objects():
    assert len(drawn(("dog", "head", (0, 0, 5, 5), 1), ("bus", "wheel", (10, 0, 15, 5), 1)).objects) == 2


def test_what_has_no_pixel_or_is_cut_off_is_named():
    drawing = drawn(("dog", "head", (3, 3, 3, 9)), ("dog", "tail", (20, 0, 60, 5)), ("dog", "head", (50, 0, 60, 5)))
    assert drawing.empty == ["annotation 0", "annotation 2"]
    assert drawing.cut == ["annotation 1", "annotation 2"]
    same_objects(drawing, [(0, box(20, 0, 30, 5))])


def test_a_faulty_shape_is_a_problem_and_the_others_are_drawn():
    problems = Problems()
    bad = Annotation("annotation 9 of a.json", ("dog", "head"), Segmentation.of([[1, 2, 3]]))
    good = Annotation("annotation 8", ("dog", "tail"), Segmentation.of([[0, 0, 5, 0, 5, 5, 0, 5]]))
    drawing = draw(LabelledImage("a", ImageBytes(b"", "a.png"), (bad, good)), SIZE, TAXONOMY, IDS, problems)
    assert len(problems) == 1
    assert "annotation 9 of a.json" in problems[0]
    assert len(drawing.objects) == 1


BOXES = st.tuples(st.integers(0, 25), st.integers(0, 15), st.integers(1, 15), st.integers(1, 10))
ANNOTATIONS = st.lists(
    st.tuples(st.sampled_from(sorted(IDS, key=str)), BOXES, st.sampled_from([None, 1, 2])), max_size=12
)


@given(ANNOTATIONS)
@example(
    [
        (("dog", None), (0, 0, 10, 10), None),
        (("dog", "tail"), (5, 0, 10, 10), None),
        (("dog", "head"), (0, 0, 10, 10), None),
    ]
)
def test_parts_lie_in_objects_of_their_class_whatever_is_labelled(annotations):
    boxes = [
        (*name, (left, top, left + width, top + height), key) for name, (left, top, width, height), key in annotations
    ]
    drawing = drawn(*boxes)
    row = instance_row("a", b"", LabelMap.from_array(drawing.part_map), drawing.instances, TAXONOMY)
    assert contradiction(row, TAXONOMY) is None


def test_instances_are_stored_as_run_lengths():
    (instance,) = drawn(("dog", "head", (2, 3, 6, 9))).instances
    assert instance.category == 0
    assert instance.bbox == pytest.approx([2, 3, 4, 6])
    np.testing.assert_array_equal(decode_rle(instance.mask), box(2, 3, 6, 9))
