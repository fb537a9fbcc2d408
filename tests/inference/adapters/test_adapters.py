"""What holds for every kind of adapter, through everything that people call."""

import json
from functools import cache, partial

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.errors import OVPartsError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.inference.adapters.loading import load_segmenter
from ovparts_hf.inference.engine import Request, predict_scores, prepare_image
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.inference.tta import TestTimeAugmentation

PARTS = {"dog": ["head", "ear"], "cat": ["head", "tail"]}


@pytest.fixture(scope="module")
def loaded():
    """From a folder to its segmenter, which is loaded once."""
    return cache(partial(PartSegmenter.from_pretrained, device="cpu"))


@pytest.fixture
def segmenter(folder, loaded):
    return loaded(folder)


def test_a_batch_gives_what_its_images_give(segmenter, image):
    images = [image, image[::-1], image[:, :50]]
    together = segmenter(images, PARTS)
    for single, result in zip(images, together, strict=True):
        expected = segmenter(single, PARTS)
        assert result.label_map.shape == single.shape[:2]
        assert (result.label_map == expected.label_map).all()
        assert result.scores.min() >= 0 and result.scores.max() <= 1


def test_every_pixel_of_a_mask_gets_a_part_of_its_object(segmenter, image):
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[10:40, 20:60] = True
    result = segmenter(image, PARTS, object_masks={"cat": mask})
    assert np.isin(result.label_map[mask], [2, 3]).all()
    assert (result.label_map[~mask] == -1).all()


def test_nothing_is_found_above_the_highest_score(segmenter, image):
    result = segmenter(image, PARTS, threshold=1.0)
    assert not result.found and (result.label_map == -1).all()


def test_no_object_gives_no_part(segmenter, image):
    result = segmenter(image, PARTS, object_masks={"cat": []})
    assert not result.found


def test_classes_are_scored_alike_among_others(segmenter, image):
    """Many names do not change the scores of one; detectors whose names compete are told of the candidates only."""
    names = [f"dog's part {i}" for i in range(40)]
    names[3], names[30] = "dog's ear", "cat's head"
    inputs = segmenter.model.encode_vocabulary(segmenter.processor, names)
    request = Request(prepare_image(segmenter.processor, Image.fromarray(image)), [[3, 30]])
    [[maps]] = predict_scores(segmenter.model, inputs, [request])
    few = {name: rows[[3, 30]] for name, rows in inputs.items()}
    [[expected]] = predict_scores(segmenter.model, few, [request._replace(candidates=[[0, 1]])])
    assert maps.logits.shape == (2, *expected.logits.shape[1:])
    torch.testing.assert_close(maps.logits, expected.logits)


def test_a_name_that_is_too_long_is_refused(segmenter, image):
    with pytest.raises(OVPartsError, match="Shorten it|knows none of"):
        segmenter(image, ["dog " * 300])


def test_predict(folder, segmenter, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "photo.png")
    command = ["predict", str(tmp_path / "photo.png"), "--parts", "dog: head, ear", "--json", "--device", "cpu"]
    assert main([*command, "--model", str(folder), "--prompt", "possessive", "--out", str(tmp_path / "out")]) == 0
    written = np.asarray(Image.open(tmp_path / "out" / "photo" / "label_map.png"))
    expected = segmenter(image, {"dog": ["head", "ear"]})
    assert (written == np.asarray(expected.label_image())).all()


def test_every_kind_is_evaluated(folder, pascal):
    model, processor = load_segmenter(folder, prompt="possessive")
    result = evaluate_model(model, processor, pascal, max_images=1, intervals=False, progress=False)
    assert result.config["prompt"] == "possessive"
    assert result.model["type"] == model.config.model_type and result.model["fingerprint"].startswith("sha256-")
    assert 0 <= result.metrics["strict"]["mIoU"] <= 100


@pytest.mark.parametrize(
    ("kind", "views"),
    [("sam3", "flip"), ("owlv2", "flip"), ("eomt", "flip"), ("mask2former", "scales and flip")],
)
def test_views_of_an_image_are_averaged(segmenter_folder, pascal, kind, views, monkeypatch):
    monkeypatch.setattr("ovparts_hf.inference.tta.SHORT_EDGES", (32, 48))
    model, processor = load_segmenter(segmenter_folder(kind))
    options = {"max_images": 1, "intervals": False, "progress": False}
    result = evaluate_model(model, processor, pascal, test_time=TestTimeAugmentation(tta=True), **options)
    assert result.config["tta"] == views


def test_evaluate_on_the_command_line(segmenter_folder, pascal_folder, tmp_path):
    command = ["evaluate", str(segmenter_folder("sam3")), str(pascal_folder), "--prompt", "of", "--device", "cpu"]
    assert main([*command, "--max-images", "1", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["config"]["prompt"] == "of"
    assert "prompt" in (tmp_path / "report" / "index.html").read_text()


def test_photographs(segmenter):
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's photographs")
    photographs = [data.chelsea(), data.coffee(), data.rocket()]
    results = segmenter(photographs, PARTS)
    for photograph, result in zip(photographs, results, strict=True):
        assert result.label_map.shape == photograph.shape[:2]
        assert result.overlay(legend=False).size == photograph.shape[1::-1]
