import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loss import part_segmentation_loss


@pytest.mark.parametrize("kind", ["bce", "ce_dice"])
@pytest.mark.parametrize("none_weight", [0.0, 0.05])
def test_the_loss_is_finite_where_nothing_is_labelled(kind, none_weight):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = part_segmentation_loss(logits, torch.zeros(2, 1, 4, 4), torch.full((2, 8, 8), 255), kind, none_weight)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    assert (loss > 0) == (kind == "bce" or none_weight > 0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (8, 8), (2, 1, 8, 8)])
def test_labels_of_a_wrong_shape_are_refused(shape):
    logits = torch.zeros(2, 4, 8, 8)
    with pytest.raises(ConfigurationError, match="one label map for each of the 2 images"):
        part_segmentation_loss(logits, logits[:, :1], torch.zeros(shape, dtype=torch.long), "bce", 0.05)
