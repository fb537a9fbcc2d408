"""Models that only know their own classes."""

import json
import logging

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModelForSemanticSegmentation

from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.adapters.closed_vocabulary import _crop
from ovparts_hf.inference.adapters.loading import load_segmenter
from ovparts_hf.inference.segmenter import PartSegmenter

from .tiny import LABELS

NAMES = ["dog's head", "dog's ear"]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["segformer", "sapiens2"])
def test_scores_are_the_probabilities_of_the_model(segmenter_folder, image, kind):
    folder, photo = segmenter_folder(kind), Image.fromarray(image)
    model, processor = load_segmenter(folder)
    outputs = model(**processor(photo), **model.encode_vocabulary(processor, NAMES), include_none=True)
    pixels = AutoImageProcessor.from_pretrained(folder)(images=[photo], return_tensors="pt")["pixel_values"]
    expected = AutoModelForSemanticSegmentation.from_pretrained(folder)(pixels).logits.softmax(1)
    torch.testing.assert_close(outputs.logits, expected[:, 1:3])
    torch.testing.assert_close(outputs.none_logits, expected[:, [0, 3, 4]].amax(1, keepdim=True))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mask2former", "oneformer"])
def test_queries_are_summed_as_transformers_does(segmenter_folder, image, kind):
    folder, photo = segmenter_folder(kind), Image.fromarray(image)
    model, processor = load_segmenter(folder)
    outputs = model(**processor(photo), **model.encode_vocabulary(processor, NAMES), include_none=True)
    task = {"task_inputs": model.task["task_inputs"]} if kind == "oneformer" else {}
    stock = processor.image_processor.processor
    theirs = model.model(stock([photo], return_tensors="pt")["pixel_values"], **task)
    [expected] = stock.post_process_semantic_segmentation(theirs, [(384, 384)], return_segmentation_scores=True)
    expected = expected["segmentation_scores"]
    maps = F.interpolate(torch.cat([outputs.logits, outputs.none_logits], 1), (384, 384), mode="bilinear")[0]
    assert expected[1:3].std() > 0.01
    torch.testing.assert_close(maps[:2], expected[1:3], atol=0.01, rtol=0)  # it resizes before it sums
    torch.testing.assert_close(maps[2], expected[[0, 3, 4]].amax(0), atol=0.01, rtol=0)


def test_padding_is_cut_off():
    maps = torch.rand(2, 8, 12)
    assert _crop(maps, 1.0, 1.0) is maps
    expected = F.interpolate(maps[None, :, :4, :9], (8, 12), mode="bilinear", align_corners=False)[0]
    inner = slice(2, -2)  # at the cut itself, the padding is part of the interpolation
    torch.testing.assert_close(_crop(maps, 0.5, 0.75)[:, inner, inner], expected[:, inner, inner])


def test_the_image_of_eomt_is_padded_to_a_square(segmenter_folder, image):
    _, processor = load_segmenter(segmenter_folder("eomt"))
    inputs = processor(Image.fromarray(image))
    assert inputs["pixel_values"].shape == (1, 3, 64, 64)
    torch.testing.assert_close(inputs["extent"], torch.tensor([[60 / 90, 1.0]]))
    height = round(64 * 60 / 90)
    assert not torch.equal(inputs["pixel_values"][0, :, height - 1], inputs["pixel_values"][0, :, height + 1])
    assert inputs["pixel_values"][0, :, height + 1 :].flatten(1).std(1).max() == 0


def test_without_names_its_own_are_looked_for(segmenter_folder, image):
    segmenter = PartSegmenter.from_pretrained(segmenter_folder("segformer"), "cpu")
    assert segmenter(image).classes == ("Dog_Head", "dog's ear, an ear", "cat's head", "grass")


def test_names_that_it_does_not_know_are_not_found(segmenter_folder, image, caplog):
    segmenter = PartSegmenter.from_pretrained(segmenter_folder("segformer"), "cpu", prompt="of")
    with pytest.raises(ConfigurationError, match="knows none of.*--class-names"):
        segmenter(image, {"dog": ["head", "ear"]})
    segmenter = PartSegmenter.from_pretrained(segmenter_folder("segformer"), "cpu")
    with caplog.at_level(logging.WARNING):
        result = segmenter(image, {"dog": ["head", "wing"]})
    assert "will not find, dog's wing" in caplog.text and "dog's wing" not in result.found


@torch.no_grad()
def test_several_labels_may_be_mapped_to_a_name(segmenter_folder, image):
    photo = Image.fromarray(image)
    model, processor = load_segmenter(
        segmenter_folder("segformer"), class_names={"Dog_Head": "pet's head", "cat's head": "pet's head"}
    )
    alone, _ = load_segmenter(segmenter_folder("segformer"))
    assert model.vocabulary == ["pet's head"]
    scores = model(**processor(photo), **model.encode_vocabulary(processor, ["pet's head"])).logits[0, 0]
    each = alone(**processor(photo), **alone.encode_vocabulary(processor, ["dog's head", "cat's head"])).logits[0]
    torch.testing.assert_close(scores, each.sum(0))
    with pytest.raises(ConfigurationError, match="no classes of"):
        load_segmenter(segmenter_folder("segformer"), class_names={"Horse": "pet's head"})


def test_labels_without_names_are_refused_with_the_cure(segmenter_folder, image, tmp_path, capsys):
    folder = tmp_path / "unnamed"
    model, processor = load_segmenter(segmenter_folder("segformer"))
    model.model.config.id2label = {i: f"LABEL_{i}" for i in range(len(LABELS))}
    model.model.save_pretrained(folder)
    processor.image_processor.processor.save_pretrained(folder)
    assert AutoConfig.from_pretrained(folder).id2label[1] == "LABEL_1"
    Image.fromarray(image).save(tmp_path / "photo.png")
    command = ["predict", str(tmp_path / "photo.png"), "--model", str(folder), "--device", "cpu"]
    command += ["--parts", "dog: head", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert "--class-names FILE" in capsys.readouterr().err
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"LABEL_1": "dog's head"}))
    assert main([*command, "--class-names", str(names)]) == 0


def test_models_that_take_any_name_need_no_mapping(segmenter_folder):
    with pytest.raises(ConfigurationError, match="takes any name"):
        load_segmenter(segmenter_folder("sam3"), class_names={"Hair": "person's hair"})
