"""Properties of matching, losses, padding and class maps that no stored run shows."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.testing import assert_close

from ovparts_hf.models.maskformer.configuration_maskformer import MaskClassificationConfig
from ovparts_hf.models.maskformer.losses import mask_classification_loss, masks_from_labels
from ovparts_hf.models.maskformer.modules import mask_probabilities, pad_to_multiple, sum_of_queries

from ...training.two_processes import run_in_two_processes

CONFIG = MaskClassificationConfig()


def proposals(masks: torch.Tensor, classes: list[int], num_classes: int, sharpness: float = 30.0):
    """One layer of sure queries with these masks (batch, queries, h, w) and classes."""
    logits = sharpness * F.one_hot(torch.tensor(classes), num_classes + 1).float().expand(len(masks), -1, -1)
    return [logits], [sharpness * (2 * masks.float() - 1)]


def test_masks_are_cut_from_labels():
    labels = torch.tensor([[[0, 0, 255, 2], [0, 0, -1, 2]], [[255] * 4] * 2])
    masks, ids = masks_from_labels(labels, (4, 8), num_classes=3)
    assert [each.tolist() for each in ids] == [[0, 2], []]
    assert masks[0].shape == (2, 32, 32) and masks[1].shape == (0, 32, 32)
    assert masks[0][0].nonzero().max(0).values.tolist() == [3, 3] and masks[0][0].sum() == 16
    assert masks[0][1].nonzero().min(0).values.tolist() == [0, 6] and masks[0][1].sum() == 8


def test_classes_beyond_the_vocabulary_are_unlabelled():
    _, ids = masks_from_labels(torch.tensor([[[0, 3]]]), (1, 2), num_classes=3)
    assert ids[0].tolist() == [0]


def test_with_a_stride_every_nth_pixel_counts():
    labels = torch.randint(4, (2, 30, 50), generator=torch.Generator().manual_seed(0))
    every, ids = masks_from_labels(labels, (30, 50), 3)
    some, same_ids = masks_from_labels(labels, (30, 50), 3, stride=4)
    assert [len(each) for each in ids] == [3, 3] and all(map(torch.equal, ids, same_ids))
    for masks, fewer in zip(every, some):
        assert fewer.shape == (3, 8, 16)
        assert_close(fewer, masks[:, 2::4, 2::4])


@pytest.fixture
def targets():
    labels = torch.full((1, 32, 32), 255)
    labels[0, :16], labels[0, 16:, :16] = 1, 2
    return masks_from_labels(labels, (32, 32), 3)


def test_right_proposals_cost_nothing_in_any_order(targets):
    masks = torch.cat([targets[0][0], torch.zeros(1, 32, 32)])[None]
    right = mask_classification_loss(*proposals(masks, [1, 2, 3], 3), targets, CONFIG)
    assert right
    assert all(loss < 1e-3 for loss in right.values())
    turned = mask_classification_loss(*proposals(masks[:, [2, 0, 1]], [3, 1, 2], 3), targets, CONFIG)
    for name, loss in right.items():
        assert_close(turned[name], loss)
    wrong = mask_classification_loss(*proposals(masks, [2, 1, 3], 3), targets, CONFIG)
    assert wrong["loss_ce"] > 1


def test_no_object_weighs_less(targets):
    masks = torch.cat([targets[0][0], torch.zeros(1, 32, 32)])[None]
    class_logits, mask_logits = proposals(masks, [1, 2, 0], 3)  # the third query should have said "no object"
    loss = mask_classification_loss(class_logits, mask_logits, targets, CONFIG)["loss_ce"]
    assert_close(loss, torch.tensor(30 * 0.1 / 2.1))


def test_weights_are_those_of_the_configuration(targets):
    torch.manual_seed(0)
    layers = [torch.randn(1, 5, 4), torch.randn(1, 5, 4)], [torch.randn(1, 5, 8, 8), torch.randn(1, 5, 8, 8)]
    one = mask_classification_loss(*layers, targets, CONFIG)
    scaled = MaskClassificationConfig(cross_entropy_weight=2.0, mask_weight=40.0, dice_weight=2.0)
    for name, loss in mask_classification_loss(*layers, targets, scaled).items():
        assert_close(loss, 2 * one[name])
    assert set(one) == {f"loss_{kind}{layer}" for kind in ("ce", "mask", "dice") for layer in ("", "_0")}


def test_more_masks_than_queries(targets):
    losses = mask_classification_loss([torch.randn(1, 1, 4)], [torch.randn(1, 1, 8, 8)], targets, CONFIG)
    assert losses
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_images_with_and_without_masks_share_a_batch(targets):
    masks, ids = targets
    empty = [*masks, masks[0][:0]], [*ids, ids[0][:0]]
    class_logits, mask_logits = torch.randn(2, 5, 4, requires_grad=True), torch.randn(2, 5, 8, 8, requires_grad=True)
    both = mask_classification_loss([class_logits], [mask_logits], empty, CONFIG)
    one = mask_classification_loss([class_logits[:1]], [mask_logits[:1]], targets, CONFIG)
    assert_close(both["loss_mask"], one["loss_mask"])
    sum(both.values()).backward()
    assert torch.isfinite(class_logits.grad).all() and (mask_logits.grad[1] == 0).all()


def spread_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class logits, mask logits and labels of two images, one with five times as many masks as the other."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.full((2, 32, 32), 255)
    labels[0, 8:16] = 4
    labels[1] = torch.arange(32)[:, None] // 8
    labels[1, :, 16:] = 4
    return torch.randn(2, 8, 6, generator=generator), torch.randn(2, 8, 8, 8, generator=generator), labels


def learn_one_image_each(out: Path) -> None:
    """Saves what a process learns from its image, in training and in an evaluation that only the second one makes."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    classes, masks, labels = (each[rank : rank + 1] for each in spread_batch())
    masks.requires_grad_()
    targets = masks_from_labels(labels, (32, 32), 5)
    losses = mask_classification_loss([classes], [masks], targets, CONFIG, across_processes=True)
    (losses["loss_mask"] + losses["loss_dice"]).backward()
    saved = {**{name: loss.detach() for name, loss in losses.items()}, "gradient": masks.grad}
    if rank == 1:
        saved["alone"] = mask_classification_loss([classes], [masks], targets, CONFIG)["loss_dice"].detach()
    torch.save(saved, out / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_each_mask_weighs_the_same_in_every_process(tmp_path):
    run_in_two_processes(learn_one_image_each, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    classes, masks, labels = spread_batch()
    masks.requires_grad_()
    targets = masks_from_labels(labels, (32, 32), 5)
    assert [len(each) for each in targets[1]] == [1, 5]
    together = mask_classification_loss([classes], [masks], targets, CONFIG)
    (together["loss_mask"] + together["loss_dice"]).backward()
    for name in ("loss_mask", "loss_dice"):
        assert_close((first[name] + second[name]) / 2, together[name].detach())
    assert_close(torch.cat([first["gradient"], second["gradient"]]) / 2, masks.grad)
    assert_close(second["alone"], second["loss_dice"] * 3 / 5)


def test_padding_is_added_below_and_at_the_right():
    padded = pad_to_multiple(torch.ones(1, 3, 33, 64))
    assert padded.shape == (1, 3, 64, 64)
    assert padded[..., :33, :].all() and (padded[..., 33:, :] == 0).all()


def test_class_maps_add_up_what_queries_say():
    masks = mask_probabilities(torch.full((1, 2, 8, 8), 50.0), (32, 32), (20, 30))
    assert_close(masks, torch.ones(1, 2, 20, 30))
    maps = sum_of_queries(torch.tensor([[[0.25, 0.5], [0.5, 0.0]]]), masks)
    assert_close(maps[0, :, 3, 4], torch.tensor([0.75, 0.5]))
