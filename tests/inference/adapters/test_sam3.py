"""SAM 3, against transformers' own way to masks."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Sam3Model, Sam3Processor

from ovparts_hf.inference.adapters.loading import load_segmenter

PHRASES = {
    "possessive": ["dog's ear", "a red door"],
    "of": ["ear of a dog", "a red door"],
    "part": ["ear", "a red door"],
}


@torch.no_grad()
@pytest.mark.parametrize("prompt", PHRASES)
def test_masks_are_those_of_transformers(segmenter_folder, image, prompt):
    folder, photo = segmenter_folder("sam3"), Image.fromarray(image)
    model, processor = load_segmenter(folder, prompt=prompt)
    model.threshold = 0.2  # with random weights nothing scores more than that of SAM 3
    stock, stock_processor = Sam3Model.from_pretrained(folder), Sam3Processor.from_pretrained(folder)
    for each in (stock, model.model):  # whose masks are a half nearly everywhere
        each.mask_decoder.mask_embedder.layers[-1].weight.mul_(1e4)
    outputs = model(**processor(photo), **model.encode_vocabulary(processor, ["dog's ear", "a red door"]))
    found = []
    for scores, phrase in zip(outputs.logits[0], PHRASES[prompt], strict=True):
        expected = stock(**stock_processor(images=photo, text=phrase, return_tensors="pt"))
        [result] = stock_processor.post_process_instance_segmentation(expected, model.threshold)
        found.append(result["masks"].bool().any(0))
        assert ((scores > model.threshold) == found[-1]).all()
    assert any(mask.any() for mask in found) and not all(mask.all() for mask in found)


def test_an_image_is_encoded_once(segmenter_folder, image, monkeypatch):
    model, processor = load_segmenter(segmenter_folder("sam3"))
    calls = []
    encode = model.model.get_vision_features
    monkeypatch.setattr(model.model, "get_vision_features", lambda **inputs: calls.append(1) or encode(**inputs))
    with torch.no_grad():
        inputs = model.encode_vocabulary(processor, [f"thing {i}" for i in range(10)])
        outputs = model(**processor(Image.fromarray(image)), **inputs)
    assert len(calls) == 1 and outputs.logits.shape[:2] == (1, 10)
    assert np.isfinite(outputs.logits.numpy()).all()
