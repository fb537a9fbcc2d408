"""Crop boxes, normalisation and pooling for CLIP's look at regions."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ovparts_hf.models.clip_regions import (
    clip_normalized,
    crop,
    expand_box,
    mask_box,
    masked_crops,
    masked_means,
    object_region,
    patch_masks,
)


@given(st.integers(0, 30), st.integers(0, 20), st.integers(1, 30), st.integers(1, 20), st.floats(1, 3))
def test_boxes_contain_the_mask_and_stay_in_the_image(left, top, width, height, ratio):
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    assert mask_box(mask) == (left, top, left + width, top + height)
    box = expand_box(mask_box(mask), ratio, (40, 60))
    assert 0 <= box[0] <= left and 0 <= box[1] <= top
    assert left + width - 1 <= box[2] <= 60 and top + height - 1 <= box[3] <= 40
    assert crop(mask, box).any()


def test_a_box_may_have_one_pixel():
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[4, 0] = True
    assert mask_box(mask) == (0, 4, 1, 5)
    assert expand_box(mask_box(mask), 1.2, (5, 5)) == (0, 3, 1, 5)


def test_normalisations_are_exchanged():
    image = torch.rand(3, 6, 5)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.1]
    own = (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    clip_mean, clip_std = (torch.tensor(values)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    assert_close(clip_normalized(own, mean, std), (image - clip_mean) / clip_std)
    assert_close(clip_normalized(own, mean, std, (0, 0, 0), (1, 1, 1)), image)


def test_object_and_parts_are_cut_out_alike():
    image, mask = torch.rand(3, 40, 60), torch.zeros(40, 60, dtype=torch.bool)
    mask[10:30, 20:40] = True
    part = torch.zeros_like(mask)
    part[10:20, 20:40] = True
    region, object_square, parts = object_region(image, mask, torch.stack([part, mask]), 1.2, 24)
    assert_close(region, image[:, 8:32, 18:42])  # the box is 24 pixels: nothing is resized
    assert torch.equal(object_square[0], mask[8:32, 18:42].float())
    assert torch.equal(parts[0], part[8:32, 18:42].float()) and torch.equal(parts[1], object_square[0])


def test_masks_touch_patches_and_features_are_averaged_there():
    mask = torch.zeros(1, 8, 8)
    mask[0, 3, 3] = mask[0, 7, 0] = 1
    touched = patch_masks(mask, 4)
    assert touched.tolist() == [[1, 0, 1, 0]]
    features = torch.randn(4, 6)
    assert_close(masked_means(features, touched)[0], features[[0, 2]].mean(0))
    assert torch.equal(masked_means(features, torch.zeros(1, 4)), torch.zeros(1, 6))


def test_the_surroundings_of_a_proposal_are_blanked():
    image = torch.ones(3, 30, 30)
    masks = torch.zeros(2, 30, 30, dtype=torch.bool)
    masks[0, 5:15, 5:15] = masks[1] = True
    squares = masked_crops(image, masks, 1.2, 12)
    assert squares.shape == (2, 3, 12, 12)
    assert_close(squares[0, :, 1:-1, 1:-1], torch.ones(3, 10, 10))
    assert (squares[0, :, 0] == 0).all() and (squares[0, :, :, -1] == 0).all()
    assert_close(squares[1], torch.ones(3, 12, 12))
