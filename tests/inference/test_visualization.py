from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference import visualization
from ovparts_hf.inference.captions import Entry, draw_legend
from ovparts_hf.inference.visualization import SMALLEST_SIDE, class_colors, comparison, overlay
from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116

NAMES = ["cat's ear", "cat's head", "cat's tail"]


def make_image(height=400, width=500, color=(200, 30, 30)):
    return Image.new("RGB", (width, height), color)


def differences(colors):
    return [np.abs(color - other).sum() for color, other in combinations(colors.astype(int), 2)]


@pytest.mark.parametrize("taxonomy", [PASCAL_PART_116, ADE20K_PART_234], ids=lambda taxonomy: taxonomy.name)
def test_no_two_classes_share_a_color_and_parts_of_one_object_differ_most(taxonomy):
    colors = class_colors(taxonomy.part_classes)
    assert min(differences(colors)) > 15
    siblings = [taxonomy.parts_of(object_id) for object_id in range(len(taxonomy.object_classes))]
    assert min(difference for ids in siblings for difference in differences(colors[list(ids)])) > 60


def test_few_classes_differ_at_a_glance():
    doors = class_colors(["bus's door", "house's door", "car's door", "bus's wheel", "car's wheel", "door"])
    assert min(differences(doors)) > 70
    thousand = class_colors([f"thing's part {number}" for number in range(1000)])
    assert len(np.unique(thousand, axis=0)) == 1000


def test_colors_depend_on_the_names_alone():
    names = PASCAL_PART_116.part_classes
    colors = dict(zip(names, class_colors(names).tolist()))
    assert dict(zip(names[::-1], class_colors(names[::-1]).tolist())) == colors
    changed = class_colors(names)
    changed[:] = 0  # somebody writes into them
    assert dict(zip(names, class_colors(names).tolist())) == colors


def test_names_that_are_repeated_and_free_words_are_welcome():
    ear, other_ear, repeated, word = class_colors(["cat's ear", "dog's ear", "cat's ear", "screw"])
    assert ear.tolist() == repeated.tolist() != other_ear.tolist()
    assert word.dtype == np.uint8
    assert class_colors([]).shape == (0, 3)


def test_paint_covers_exactly_the_labelled_pixels():
    label_map = np.full((400, 500), -1)
    label_map[100:300, 100:300] = 1
    label_map[100:300, 300:400] = 255  # an ignore index: clear as well
    image = make_image()
    painted = np.asarray(overlay(image, label_map, NAMES, alpha=1, legend=False))
    assert painted.shape == (400, 500, 3)
    np.testing.assert_array_equal(painted[101:298, 101:298].reshape(-1, 3), [class_colors(NAMES)[1]] * 197 * 197)
    outside = np.ones((400, 500), dtype=bool)
    outside[98:301, 98:301] = False
    np.testing.assert_array_equal(painted[outside], np.asarray(image)[outside])
    assert painted[200, 299].max() < 150  # the contour


def test_nothing_painted_leaves_the_image():
    label_map = np.full((400, 500), -1)
    np.testing.assert_array_equal(np.asarray(overlay(make_image(), label_map, NAMES)), np.asarray(make_image()))


def test_small_images_are_enlarged_and_large_ones_are_not():
    small = overlay(make_image(32, 64), np.zeros((32, 64), dtype=int), NAMES, legend=False)
    assert small.size == (SMALLEST_SIDE, SMALLEST_SIDE // 2)
    large = overlay(make_image(350, 330), np.zeros((350, 330), dtype=int), NAMES, legend=False)
    assert large.size == (330, 350)


def test_the_legend_lists_only_what_is_there():
    one, three = np.zeros((400, 500), dtype=int), np.arange(200_000).reshape(400, 500) % 3
    label = class_colors(NAMES)
    for label_map, present in ((one, [0]), (three, [0, 1, 2])):
        drawn = overlay(make_image(), label_map, NAMES)
        legend = np.asarray(drawn)[400:].reshape(-1, 3)
        for i in range(3):
            assert (legend == label[i]).all(axis=1).any() == (i in present)


def test_classes_too_small_to_see_are_marked():
    label_map = np.zeros((400, 500), dtype=int)
    label_map[200:203, 200:203] = 1
    with patch.object(visualization, "draw_legend", wraps=draw_legend) as drawn:
        for found in ((), (2,)):  # the third has no pixel left
            overlay(make_image(), label_map, NAMES, found=found)
    marked = [[(entry.name, entry.is_faint) for entry in call.args[0]] for call in drawn.call_args_list]
    assert marked[0] == [("cat's ear", False), ("cat's head", True)]
    assert marked[1] == [*marked[0], ("cat's tail", True)]


def test_marked_classes_look_different_in_the_legend():
    plain, marked = (draw_legend([Entry("cat's ear", (9, 9, 200), is_faint)], 400) for is_faint in (False, True))
    assert plain.size == marked.size and (np.asarray(plain) != np.asarray(marked)).any()


def inked(names, label_map):
    """Where labels change the drawing: (top, left, bottom, right)."""
    image = make_image(*label_map.shape)
    plain, labelled = (overlay(image, label_map, names, legend=False, labels=labels) for labels in (False, True))
    rows, columns = np.nonzero((np.asarray(plain) != np.asarray(labelled)).any(axis=-1))
    return (rows.min(), columns.min(), rows.max(), columns.max()) if len(rows) else None


def test_names_are_written_on_their_regions():
    label_map = np.full((400, 500), -1)
    label_map[250:350, 300:480] = 1
    top, left, bottom, right = inked(NAMES, label_map)
    assert top >= 250 and bottom < 350 and left >= 300 and right < 480
    label_map[:] = -1
    label_map[:8, :8] = 1
    assert inked(NAMES, label_map) is None  # too small for a name


def test_each_region_gets_its_name_and_no_two_names_overlap():
    two = np.full((100, 500), -1)
    two[:, :200] = two[:, 300:] = 0
    _, left, _, right = inked(NAMES, two)
    assert left < 200 and right > 300
    stripes = np.repeat(np.arange(100) % 3, 4)[:, None] * np.ones((1, 500), dtype=int)
    with patch.object(ImageDraw.ImageDraw, "text", autospec=True) as text:
        overlay(make_image(400, 500), stripes, NAMES, legend=False, labels=True)
    places = [call.args[1][1] for call in text.call_args_list]
    assert len(places) >= 10 and min(np.diff(sorted(places))) >= 20


def test_a_long_name_stays_inside_of_the_image():
    label_map = np.zeros((400, 500), dtype=int)
    assert inked(["a name that is far too long " * 9], label_map) is not None


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2), (37, 411)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK"])
def test_any_size_and_mode_works(size, mode):
    label_map = np.arange(size[0] * size[1]).reshape(size) % 5 - 1  # parts of one pixel
    drawn = comparison(Image.new(mode, size[::-1]), label_map, label_map[::-1], NAMES)
    assert drawn.mode == "RGB"


def test_hundreds_of_classes_and_long_names_fit():
    names = [f"chest of drawers's part with a rather long name, number {i}" for i in range(300)]
    drawn = overlay(make_image(100, 300), np.tile(np.arange(300), (100, 1)).astype(np.uint16), names)
    assert drawn.width == 300 and drawn.height > 100 + 300 * 12


def test_comparison_puts_three_panels_side_by_side():
    truth, prediction = np.zeros((400, 500), dtype=int), np.ones((400, 500), dtype=int)
    drawn = np.asarray(comparison(make_image(), truth, prediction, NAMES, alpha=1, legend=False))
    middles = [drawn[220, 250 + i * 508] for i in range(3)]
    colors = class_colors(NAMES)
    assert [m.tolist() for m in middles] == [[200, 30, 30], colors[0].tolist(), colors[1].tolist()]
    assert drawn.shape == (420, 1516, 3)


@pytest.mark.parametrize(
    ("label_map", "alpha", "message"),
    [
        (np.zeros((500, 400), dtype=int), 0.5, r"shape \(500, 400\), the image \(height, width\) \(400, 500\)"),
        (np.zeros((400, 500)), 0.5, "dtype float64"),
        (np.zeros((400, 500), dtype=int), 1.5, "alpha is 1.5"),
    ],
)
def test_bad_input_is_refused(label_map, alpha, message):
    with pytest.raises(ConfigurationError, match=message):
        overlay(make_image(), label_map, NAMES, alpha=alpha)
