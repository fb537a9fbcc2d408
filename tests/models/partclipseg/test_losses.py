"""Attention control on maps that can be followed by hand."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from ovparts_hf.models.part_object import LevelTargets
from ovparts_hf.models.partclipseg.losses import (
    ImageTargets,
    attended_cells,
    control_losses,
    image_targets,
    relative_attention,
    smooth,
)

GRID = (4, 4)


def image(classes, objects, masks):
    ids = torch.tensor(classes)
    return ImageTargets(ids, torch.ones(len(ids), *GRID, dtype=torch.bool), torch.tensor(objects), masks)


def peak(row, column, height=1.0):
    cells = torch.zeros(GRID)
    cells[row, column] = height
    return cells


def test_smoothing_keeps_what_is_constant_and_is_wider_than_its_sigma_says():
    assert_close(smooth(torch.ones(2, *GRID)), torch.ones(2, *GRID))
    spread = smooth(peak(1, 2)[None])[0]
    assert_close(spread[1, 1] / spread[1, 2], torch.tensor(-1.0).exp())
    assert_close(spread[2, 1] / spread[1, 2], torch.tensor(-2.0).exp())


def test_attention_is_averaged_over_all_cells():
    attention = torch.rand(1, 17, 17)
    mask = torch.zeros(1, *GRID, dtype=torch.bool)
    mask[0, 0, 1] = mask[0, 2, 3] = True
    expected = (attention[0, 1 + 1, 1:] + attention[0, 1 + 11, 1:]) / 16
    assert_close(attended_cells(attention, mask)[0].flatten(), expected)
    assert (attended_cells(attention, torch.zeros_like(mask)) == 0).all()


@given(st.integers(0, 2**31), st.floats(0.1, 10))
def test_relative_attention_does_not_depend_on_scale(seed, scale):
    cells = torch.rand(3, *GRID, generator=torch.Generator().manual_seed(seed)) + 0.1
    relative = relative_attention(cells)
    assert relative.min() >= 0 and relative.max() <= 1
    assert_close(relative_attention(cells * scale), relative, atol=1e-4, rtol=0)


def test_parts_that_claim_the_same_cells_are_not_separate():
    everywhere = torch.ones(1, *GRID, dtype=torch.bool)
    apart = torch.stack([peak(0, 0), peak(3, 3)])
    together = torch.stack([peak(1, 1), peak(1, 1)])
    for cells, expected in ((apart, 0), (together, 1)):
        losses = control_losses([cells], [image([0, 1], [0], everywhere)], None, 0.3)
        assert losses.separation == expected
    outside = everywhere.clone()
    outside[:, :3, :3] = False
    assert control_losses([together], [image([0, 1], [0], outside)], None, 0.3).separation == 0


def test_the_least_attended_part_is_enhanced():
    everywhere = torch.ones(1, *GRID, dtype=torch.bool)
    cells = torch.stack([peak(1, 1), peak(2, 2, 0.5)]).requires_grad_()
    losses = control_losses([cells], [image([0, 1], [0], everywhere)], None, 0.3)
    assert_close(losses.enhancement, 1 - smooth(peak(2, 2, 0.5)[None]).max())
    losses.enhancement.backward()
    assert (cells.grad[0] == 0).all() and cells.grad[1].argmin() == 10
    assert not losses.separation.requires_grad


def test_objects_count_and_images_divide():
    """As in the original: once by their number in the batch, and once more by the images in it."""
    masks = torch.ones(2, *GRID, dtype=torch.bool)
    cells, nothing = torch.stack([peak(1, 1), peak(1, 1)]), torch.empty(0, *GRID)
    images = [image([0, 1], [0, 1], masks), image([], [0], masks[:1])]
    images[1] = images[1]._replace(class_ids=images[1].class_ids.long())
    assert control_losses([cells, nothing], images, None, 0.3).separation == 1 / 2


def test_parts_of_other_objects_can_be_left_out():
    masks = torch.ones(3, *GRID, dtype=torch.bool)
    cells = torch.stack([peak(1, 1), peak(1, 1)])
    found = [image([4, 5], [0, 1, 2], masks)]
    object_of = torch.tensor([9, 9, 9, 9, 0, 1])
    assert control_losses([cells], found, None, 0.3).separation == 1
    losses = control_losses([cells], found, object_of, 0.3)
    assert losses.separation == 0 and losses.enhancement > 0


def test_the_last_object_is_dropped_only_where_no_pixel_is_background():
    classes = torch.tensor([[[0, 0, -1, 3], [0, 0, 3, 3]]])
    objects = torch.tensor([[[0, 0, 0, 1], [0, 0, 1, 1]]])
    targets = LevelTargets(classes, classes, objects)
    for drop, expected in ((True, [0]), (False, [0, 1])):
        found = image_targets(targets, 0, (2, 4), drop)
        assert found.objects.tolist() == expected and len(found.object_masks) == len(expected)
        assert found.class_ids.tolist() == [0, 3]
        assert torch.equal(found.class_masks[1], classes[0] == 3)
    objects[0, 0, 0] = -1
    assert image_targets(targets, 0, (2, 4), True).objects.tolist() == [0, 1]
