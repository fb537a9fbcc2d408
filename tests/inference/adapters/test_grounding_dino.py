"""Grounding DINO, against transformers' own processor."""

import pytest
import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, GroundingDinoProcessor

from ovparts_hf.errors import OVPartsError
from ovparts_hf.inference.adapters.loading import load_segmenter


@pytest.fixture(params=["grounding-dino", "mm-grounding-dino"])
def folder(request, segmenter_folder):
    return segmenter_folder(request.param)


@torch.no_grad()
def test_a_sentence_is_that_of_transformers(folder, image):
    model, processor = load_segmenter(folder)
    names = ["Dog's ear", "cat"]
    inputs = processor(Image.fromarray(image))
    classes = model.encode_vocabulary(processor, names)
    boxes, scores = model.detect({"pixel_values": inputs["pixel_values"]}, classes)
    stock_processor = GroundingDinoProcessor.from_pretrained(folder)
    tokens = stock_processor(images=Image.fromarray(image), text=[names], return_tensors="pt")
    outputs = AutoModelForZeroShotObjectDetection.from_pretrained(folder)(**tokens)
    probabilities = outputs.logits[0].sigmoid()  # [CLS] dog ' s ear . cat . [SEP]
    torch.testing.assert_close(scores[:, 0], probabilities[:, 1:5].mean(1))
    torch.testing.assert_close(scores[:, 1], probabilities[:, 6])
    torch.testing.assert_close(boxes[:, 2:] - boxes[:, :2], outputs.pred_boxes[0, :, 2:])


@torch.no_grad()
def test_many_names_are_several_sentences_about_an_image_that_is_encoded_once(folder, image, monkeypatch):
    model, processor = load_segmenter(folder)
    classes = model.encode_vocabulary(processor, [f"dog's ear {i}" for i in range(116)])
    calls = []
    backbone = model.model.model.backbone.backbone
    forward = backbone.forward
    monkeypatch.setattr(backbone, "forward", lambda *inputs: calls.append(1) or forward(*inputs))
    pixels = processor(Image.fromarray(image))["pixel_values"]
    boxes, scores = model.detect({"pixel_values": pixels}, classes)
    sentences = len(boxes) // model.config.num_queries
    assert len(calls) == 1 and sentences > 10
    assert scores.shape == (len(boxes), 116)
    assert ((scores > 0).sum(1) > 0).all() and (scores > 0).any(0).all()
    assert ((scores > 0).sum(1) <= 116 / sentences * 2).all()


@pytest.mark.parametrize("name", ["dr. no", "why?", "\N{ZERO WIDTH SPACE}"])
def test_names_that_would_end_the_sentence_are_refused(folder, name):
    model, processor = load_segmenter(folder)
    with pytest.raises(OVPartsError, match="cannot be asked for"):
        model.encode_vocabulary(processor, ["dog", name])
