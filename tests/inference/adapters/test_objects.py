"""Adapters that find objects, and refiners for models of this library."""

import numpy as np
import pytest

from ovparts_hf.cli import main
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.objects import get_objects
from ovparts_hf.inference.adapters.loading import load_segmenter
from ovparts_hf.inference.objects import OpenVocabularyObjectSegmenter, PretrainedObjectSegmenter
from ovparts_hf.inference.refinement import PretrainedRefiner
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.models.loading import load_model
from ovparts_hf.utils.files import public_name


@pytest.mark.parametrize("kind", ["sam3", "grounding-dino", "owlv2"])
def test_parts_are_looked_for_inside_the_objects_that_an_adapter_finds(segmenter_folder, image, kind):
    folder = segmenter_folder(kind)
    segmenter = PartSegmenter.from_pretrained("toy-trained", "cpu", object_segmenter=folder)
    assert isinstance(segmenter.object_segmenter, OpenVocabularyObjectSegmenter)
    found = PartSegmenter.from_pretrained(folder, "cpu")(image, ["dog"]).masks().get("dog")
    result = segmenter(image, {"dog": ["head", "ear"]}, background=False)
    expected = np.zeros(image.shape[:2], dtype=bool) if found is None else found
    assert ((result.label_map >= 0) == expected).all()


def test_a_closed_vocabulary_finds_objects_by_transformers_pipeline(segmenter_folder):
    segmenter = PartSegmenter.from_pretrained(device="cpu", object_segmenter=segmenter_folder("mask2former"))
    assert isinstance(segmenter.object_segmenter, PretrainedObjectSegmenter)


def test_objects_of_an_adapter_in_evaluation(segmenter_folder, pascal_folder, pascal):
    command = [
        "evaluate",
        "toy-trained",
        str(pascal_folder),
        "--setting",
        "pred_obj",
        "--device",
        "cpu",
        "--task",
        "cross_dataset",
    ]
    assert main([*command, "--objects", str(segmenter_folder("owlv2")), "--max-images", "1"]) == 0
    model, processor = load_model("toy-trained")
    objects = get_objects(str(segmenter_folder("sam3")), model, processor, pascal)
    options = {"max_images": 1, "intervals": False, "progress": False}
    result = evaluate_model(model, processor, pascal, setting="pred_obj", objects=objects, **options)
    assert result.config["objects"] == public_name(str(segmenter_folder("sam3")))


def test_an_adapter_finds_objects_for_itself(segmenter_folder, pascal):
    model, processor = load_segmenter(segmenter_folder("owlvit"))
    objects = get_objects("model", model, processor, pascal)
    options = {"max_images": 1, "intervals": False, "progress": False}
    result = evaluate_model(model, processor, pascal, setting="pred_obj", objects=objects, **options)
    assert result.config["objects"] == "the same model"


def test_label_maps_of_any_model_are_refined(segmenter_folder, pascal_folder, pascal):
    command = [
        "evaluate",
        "toy-trained",
        str(pascal_folder),
        "--max-images",
        "1",
        "--device",
        "cpu",
        "--task",
        "cross_dataset",
    ]
    assert main([*command, "--refiner", str(segmenter_folder("sam2"))]) == 0
    model, processor = load_model("toy-trained")
    refiner = PretrainedRefiner.load(segmenter_folder("sam2"), "cpu")
    for setting, metrics in (("oracle_obj", "ov_parts"), ("pred_all", "strict")):
        options = {"setting": setting, "metrics": metrics, "max_images": 1, "intervals": False, "progress": False}
        plain = evaluate_model(model, processor, pascal, **options)
        refined = evaluate_model(model, processor, pascal, refiner=refiner, **options)
        assert refined.config["refiner"] == segmenter_folder("sam2").name and "refiner" not in plain.config
        assert plain.metrics != refined.metrics


@pytest.mark.parametrize("kind", ["sam2", "sam3_tracker"])
def test_results_are_refined(segmenter_folder, image, kind):
    plain = PartSegmenter.from_pretrained("toy-trained", "cpu")
    refined = PartSegmenter.from_pretrained("toy-trained", "cpu", refiner=segmenter_folder(kind))
    parts = {"bench": ["seat", "back"], "bus": ["wheel"]}
    mask = {name: np.ones(image.shape[:2], dtype=bool) for name in parts}
    before, after = (each(image, parts, object_masks=mask) for each in (plain, refined))
    assert before.found and (before.label_map != after.label_map).any()
    assert (after.label_map >= 0).all()
