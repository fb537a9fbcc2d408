"""Sharper label maps."""

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.refinement import PretrainedRefiner, _box_and_point, load_with_refiner, sharpen
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.toy.world import draw

IMAGE = Image.new("RGB", (40, 30))


def label_map():
    labels = np.full((30, 40), -1, dtype=np.int16)
    labels[5:15, 5:15] = 0
    labels[5:15, 25:35] = 0
    labels[20:28, 5:35] = 1
    labels[0, 0] = 1  # too small to be refined
    return labels


def lower(image, masks):
    """Moves every mask down by three pixels."""
    return np.roll(masks, 3, axis=1)


def test_every_region_is_refined_and_the_better_class_wins():
    expected = np.roll(label_map(), 3, axis=0)
    expected[3, 0], expected[0, 0] = -1, 1
    shown = []
    refiner = lambda image, masks: shown.append(masks) or lower(image, masks)  # noqa: E731
    assert (sharpen(IMAGE, label_map(), {0: 0.9, 1: 0.5}, refiner) == expected).all()
    assert sorted(len(masks) for masks in shown) == [1, 2]
    everywhere = lambda image, masks: np.ones_like(masks)  # noqa: E731
    assert (sharpen(IMAGE, label_map(), {0: 0.5, 1: 0.9}, everywhere) == 1).all()
    assert (sharpen(IMAGE, label_map(), {0: 0.5, 1: 0.5}, everywhere) == 0).all()


def test_pixels_that_no_region_covers_become_none_or_stay():
    nowhere = lambda image, masks: np.zeros_like(masks)  # noqa: E731
    expected = np.where(np.arange(30 * 40).reshape(30, 40) == 0, 1, -1)
    assert (sharpen(IMAGE, label_map(), {0: 1.0, 1: 1.0}, nowhere) == expected).all()
    assert (sharpen(IMAGE, label_map(), {0: 1.0, 1: 1.0}, nowhere, keep=True) == label_map()).all()


def test_a_class_stays_where_it_is_allowed():
    allowed = {0: np.zeros((30, 40), dtype=bool), 1: np.ones((30, 40), dtype=bool)}
    allowed[0][:, :20] = True
    sharp = sharpen(IMAGE, label_map(), {0: 1.0, 1: 1.0}, lower, allowed=allowed)
    assert (sharp[:, 20:] != 0).all() and (sharp == 0).sum() == 100


def test_a_refiner_must_return_as_many_masks():
    with pytest.raises(ConfigurationError, match="must return masks of the shape"):
        sharpen(IMAGE, label_map(), {0: 1.0, 1: 1.0}, lambda image, masks: masks[0])


def test_a_mask_becomes_its_box_and_the_point_deepest_inside():
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:9, 3:10] = True
    mask[2, 10:18] = True
    assert _box_and_point(mask) == ((3, 2, 18, 9), (6.5, 5.5))


class Fixed:
    """A refiner that remembers what it was shown, and masks the right half."""

    name = "fixed"

    def __init__(self):
        self.embedded, self.shown = 0, []

    def parameters(self):
        yield torch.zeros(1)

    def embed(self, pixel_values):
        self.embedded += 1

    def masks(self, image, boxes, points):
        self.shown.append((boxes.tolist(), points.tolist()))
        masks = torch.zeros(len(boxes), 8, 8)
        masks[..., 4:] = 1
        return masks


def test_coordinates_are_shares_and_an_image_is_embedded_once():
    fixed = Fixed()
    refiner = PretrainedRefiner(fixed, lambda images, return_tensors: {"pixel_values": torch.zeros(1, 3, 8, 8)})
    mask = np.zeros((1, 30, 40), dtype=bool)
    mask[0, 10:20, 10:30] = True
    for _ in range(2):
        sharp = refiner(IMAGE, mask)
    assert fixed.embedded == 1 and sharp.shape == mask.shape
    assert sharp[0, :, 22:].all() and not sharp[0, :, :18].any()
    [box], [point] = fixed.shown[0]
    np.testing.assert_allclose(box, [10 / 40, 10 / 30, 30 / 40, 20 / 30], rtol=1e-6)
    assert 10 / 40 < point[0] < 30 / 40 and 10 / 30 < point[1] < 20 / 30


def test_part_segmenter_refines_inside_objects():
    image = draw("validation", 8).image
    mask = np.zeros((image.height, image.width), dtype=bool)
    mask[20:90, 20:90] = True
    parts = {"bench": ["seat", "back"]}
    plain = PartSegmenter.from_pretrained(device="cpu")
    full = PartSegmenter(plain.model, plain.processor, refiner=lambda image, masks: np.ones_like(masks))
    result = full(image, parts, object_masks={"bench": mask})
    assert len(result.found) == 1 and (result.label_map[mask] == result.classes.index(result.found[0])).all()
    assert (result.label_map[~mask] == -1).all()
    expected = plain(image, parts, object_masks={"bench": mask})
    assert result.found[0] == expected.classes[int(expected.scores.argmax())]
    nothing = PartSegmenter(plain.model, plain.processor, refiner=lambda image, masks: np.zeros_like(masks))
    kept = nothing(image, parts, object_masks={"bench": mask})
    assert (kept.label_map == expected.label_map).all() and (kept.scores == expected.scores).all()


def test_a_function_is_taken_as_it_is_and_a_wrong_name_is_refused(tmp_path):
    assert load_with_refiner("toy-trained", refiner=lower)[2] is lower
    with pytest.raises(ConfigurationError, match="a refiner is one of"):
        PartSegmenter.from_pretrained(device="cpu", refiner="toy-trained")
    draw("validation", 8).image.save(tmp_path / "photo.png")
    command = ["predict", str(tmp_path / "photo.png"), "--parts", "bench: seat", "--out", str(tmp_path / "out")]
    assert main([*command, "--refiner", str(tmp_path)]) == 1
