"""OWL-ViT and OWLv2, against transformers' own processor."""

import pytest
import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from ovparts_hf.inference.adapters.loading import load_segmenter


@torch.no_grad()
@pytest.mark.parametrize("kind", ["owlv2", "owlvit"])
def test_boxes_are_those_of_transformers(segmenter_folder, image, kind):
    folder = segmenter_folder(kind)
    model, processor = load_segmenter(folder)
    photo = Image.fromarray(image)
    inputs = processor(photo)
    height, width = inputs["extent"][0].tolist()
    found, scores = model.detect(inputs, model.encode_vocabulary(processor, ["dog's ear", "a cat"]))
    found = found / torch.tensor([width, height, width, height]) * torch.tensor([90, 60, 90, 60])
    stock_processor = AutoProcessor.from_pretrained(folder)
    tokens = stock_processor(images=photo, text=[["dog's ear", "a cat"]], return_tensors="pt", max_length=24)
    outputs = AutoModelForZeroShotObjectDetection.from_pretrained(folder)(**tokens)
    [expected] = stock_processor.post_process_grounded_object_detection(outputs, -1.0, [(60, 90)])
    torch.testing.assert_close(scores.max(1).values, expected["scores"])
    torch.testing.assert_close(found, expected["boxes"])
