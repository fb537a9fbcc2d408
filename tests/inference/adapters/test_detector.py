"""Boxes that become score maps."""

import pytest
import torch
from PIL import Image
from torch import nn

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.inference.adapters.base import mask_scores
from ovparts_hf.inference.adapters.detector import GRID, DetectorAdapter, _fill
from ovparts_hf.inference.adapters.loading import load_refiner, load_segmenter
from ovparts_hf.inference.segmenter import PartSegmenter

BOXES = torch.tensor([[-0.5, 0.25, 0.5, 2.0], [0.25, 0.5, 0.75, 0.75], [1.2, 1.2, 1.5, 1.5]])


def test_the_best_box_over_a_pixel_counts_and_boxes_outside_are_cut():
    filled = _fill(BOXES, torch.tensor([0.3, 0.6, 0.9]))
    cell = GRID // 4
    expected = torch.zeros(GRID, GRID)
    expected[cell:, : 2 * cell] = 0.3
    expected[2 * cell : 3 * cell, cell : 3 * cell] = 0.6
    assert (filled == expected).all()


def test_a_mask_scores_more_than_the_threshold_just_where_it_is_probable():
    mask = torch.tensor([[[0.0, 0.25, 0.5, 0.51, 0.75, 1.0]]])
    scores = mask_scores(torch.tensor([0.8]), mask, 0.4)[0, 0]
    torch.testing.assert_close(scores, torch.tensor([0.0, 0.2, 0.4, 0.408, 0.6, 0.8]))
    assert (mask_scores(torch.tensor([0.3]), mask, 0.4) <= 0.3).all()


class Fixed(DetectorAdapter):
    """Finds the first two of `BOXES`, the second of which has too low a score."""

    threshold = 0.4

    def __init__(self, refiner=None):
        nn.Module.__init__(self)
        self.refiner = refiner

    def detect(self, inputs, classes):
        return BOXES[:2] * torch.tensor([1.0, 0.5, 1.0, 0.5]), torch.tensor([[0.8, 0.0], [0.2, 0.3]])


class HalfMasks(nn.Module):
    """A refiner whose masks are the left half of the image; it must not be called without a box."""

    def embed(self, pixel_values):
        return None

    def masks(self, image, boxes, points=None):
        assert len(boxes) and boxes.min() >= 0 and boxes.max() <= 1
        masks = torch.zeros(len(boxes), 8, 8)
        masks[..., :4] = 1
        return masks


def test_boxes_are_shares_of_the_padded_image():
    maps, _ = Fixed().score_image({"extent": (0.5, 1.0)}, {})
    assert (maps[0] == _fill(BOXES[:2], torch.tensor([0.8, 0.2]))).all()
    assert (maps[1] == _fill(BOXES[:2], torch.tensor([0.0, 0.3]))).all()


def test_a_refiner_replaces_the_boxes_above_the_threshold():
    maps, _ = Fixed(HalfMasks()).score_image({"extent": (0.5, 1.0), "refiner_pixels": None}, {})
    assert (maps[0][:, : GRID // 2 - 32] == 0.8).all() and (maps[0][:, GRID // 2 + 32 :] <= 0.2).all()
    assert (maps[1] == _fill(BOXES[:2], torch.tensor([0.0, 0.3]))).all()


@pytest.mark.parametrize(
    ("detector", "kind"),
    [("owlv2", "sam2"), *(("grounding-dino", kind) for kind in ("sam2", "sam3_tracker", "sam3_video"))],
)
def test_detector_and_refiner_in_one(segmenter_folder, image, detector, kind):
    segmenter = PartSegmenter.from_pretrained(segmenter_folder(detector), "cpu", refiner=segmenter_folder(kind))
    alone = PartSegmenter.from_pretrained(segmenter_folder(detector), "cpu")
    images = [image, image[:, :60]]
    parts = {"dog": ["head", "ear"]}
    refined = segmenter(images, parts)
    assert [result.label_map.shape for result in refined] == [(60, 90), (60, 60)]
    assert any((a.label_map != b.label_map).any() for a, b in zip(refined, alone(images, parts), strict=True))
    assert segmenter.model.describe()["refiner"] == segmenter_folder(kind).name


@pytest.mark.parametrize(("kind", "side"), [("sam2", 128), ("sam3_tracker", 112)])
def test_a_refiner_masks_as_transformers_does(segmenter_folder, image, kind, side):
    refiner, images = load_refiner(segmenter_folder(kind))
    pixels = images(images=[Image.fromarray(image)], return_tensors="pt")["pixel_values"]
    boxes, points = torch.rand(40, 4).sort(1).values, torch.rand(40, 2)
    with torch.no_grad():
        masks = refiner.masks(refiner.embed(pixels), boxes, points)
        for i in (0, 39):
            expected = (
                refiner.model(
                    pixel_values=pixels,
                    input_boxes=boxes[None, i : i + 1] * side,
                    input_points=points[None, i : i + 1, None] * side,
                    multimask_output=False,
                )
                .pred_masks[0, 0, 0]
                .sigmoid()
            )
            torch.testing.assert_close(masks[i], expected)


def test_options_that_are_not_for_a_model_are_refused(segmenter_folder, tmp_path):
    with pytest.raises(ConfigurationError, match="makes masks itself"):
        load_segmenter(segmenter_folder("sam3"), refiner=segmenter_folder("sam2"))
    with pytest.raises(ConfigurationError, match="a refiner is one of"):
        load_segmenter(segmenter_folder("owlv2"), refiner=segmenter_folder("owlv2"))
    with pytest.raises(ConfigurationError, match="'of', 'part'"):
        load_segmenter(segmenter_folder("owlv2"), prompt="ear of dog")
    with pytest.raises(ConfigurationError, match="known are"):
        load_segmenter(segmenter_folder("sam2"))


def test_weights_that_are_missing_are_an_error(segmenter_folder):
    """A folder of SAM 3 may come without the tracker, which would be random."""
    with pytest.raises(CheckpointError, match="missing mask_decoder"):
        load_refiner(segmenter_folder("sam3"))
