"""Every family, in training and evaluation, under mixed precision."""

import pytest
import torch
from PIL import Image

from ovparts_hf.models.loading import load_model

NAMES = ["dog's ear", "car's wheel"]
MODELS = {
    "clipseg": ("toy", {}),
    "clipseg, dice": ("toy", {"segmentation_loss": "ce_dice"}),
    "partclipseg": ("toy", {"family": "partclipseg"}),
    "catseg": ("toy-catseg", {}),
    "partcatseg": ("toy-partcatseg", {}),
    "zsseg+": ("toy-zsseg", {}),
    "zsseg+ with CoCoOp": ("toy-zsseg", {"image_conditioned_prompts": True}),
    "zsseg": ("toy-zsseg", {"object_mask_prompt": False, "prompt_lengths": None}),
    "maskformer": (
        "toy-maskformer",
        {"id2label": dict(enumerate(NAMES)), "label2id": {n: i for i, n in enumerate(NAMES)}},
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def model_and_inputs(request):
    """Not to be changed."""
    name, fields = MODELS[request.param]
    torch.manual_seed(0)
    model, processor = load_model(name, **fields)
    masks = torch.zeros(2, 90, 120, dtype=torch.bool)
    masks[0, 20:60, 10:50] = masks[1, :30, 70:] = True
    images = torch.randint(256, (90, 120, 3), dtype=torch.uint8)
    given = {"object_masks": masks} if model.requires_object_masks else {}
    inputs = {**processor(images=[Image.fromarray(images.numpy())], **given)}
    if not model.config.has_closed_vocabulary:
        inputs.update(processor(classes=NAMES))
    rows = 2 if given else 1
    labels = torch.full((rows, 90, 120), 255)
    labels[:, 20:40, 10:50], labels[:, 40:60, 10:50] = 0, 1
    return model, inputs, labels


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("class_mask", [None, [True, False]])
def test_evaluation(class_mask, dtype, model_and_inputs):
    model, inputs, labels = model_and_inputs
    if class_mask is not None:
        inputs = {**inputs, "class_mask": torch.tensor([class_mask] * len(labels))}
    with torch.no_grad():
        expected = model(**inputs, labels=labels)
        with torch.autocast("cpu", dtype):
            outputs = model(**inputs, labels=labels)
    assert outputs.logits.shape == expected.logits.shape
    assert torch.equal(outputs.logits.isneginf(), expected.logits.isneginf())
    finite = expected.logits.isfinite()
    assert finite.any()
    difference = (outputs.logits.float() - expected.logits)[finite].abs()
    assert difference.mean() < 0.05 * expected.logits[finite].abs().max() + 1e-3  # probabilities may be far smaller
    assert torch.isclose(outputs.loss.float(), expected.loss, rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_training_and_then_evaluation(dtype, model_and_inputs):
    model, inputs, labels = model_and_inputs
    model.train()
    with torch.autocast("cpu", dtype):
        loss = model(**inputs, labels=labels).loss
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    model.eval().zero_grad()
    with torch.no_grad(), torch.autocast("cpu", dtype):
        assert model(**inputs).logits.isfinite().all()
