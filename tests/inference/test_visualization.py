from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.visualization import SMALLEST_SIDE, class_colors, comparison, overlay
from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116

NAMES = ["cat's ear", "cat's head", "cat's tail"]


def make_image(height=400, width=500, color=(200, 30, 30)):
    return Image.new("RGB", (width, height), color)


@pytest.mark.parametrize("taxonomy", [PASCAL_PART_116, ADE20K_PART_234], ids=lambda taxonomy: taxonomy.name)
def test_parts_of_one_object_never_share_a_color(taxonomy):
    colors = class_colors(taxonomy.part_classes)
    differences = []
    for object_id in range(len(taxonomy.object_classes)):
        parts = colors[list(taxonomy.parts_of(object_id))].astype(int)
        differences += [np.abs(color - other).sum() for color, other in combinations(parts, 2)]
    assert min(differences) > 30


def test_an_object_has_the_same_colors_in_every_vocabulary():
    everything, seen = PASCAL_PART_116, PASCAL_PART_116.seen()
    colors = dict(zip(everything.part_classes, class_colors(everything.part_classes).tolist()))
    assert dict(zip(seen.part_classes, class_colors(seen.part_classes).tolist())).items() <= colors.items()
    backwards = everything.part_classes[::-1]
    assert dict(zip(backwards, class_colors(backwards).tolist())) == colors


def test_equal_part_names_look_alike_and_free_words_are_welcome():
    ear, other_ear, repeated, word = class_colors(["cat's ear", "dog's ear", "cat's ear", "screw"])
    assert ear.tolist() == other_ear.tolist() == repeated.tolist()
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
