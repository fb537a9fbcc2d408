"""Score maps become the numbers of PartCATSeg's own evaluator."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.partcatseg.vocabulary import level_names
from ovparts_hf.models.post_processing import best_class
from ovparts_hf.toy.world import draw
from ovparts_hf.utils.resize import resize_nearest

from ...golden_folder import golden

GOLDEN = golden("partcatseg")
NAMES = {"mIoU": "mIoU", "fwIoU": "fwIoU", "mRecall": "mRecall", "pACC": "pixel_accuracy", "h-IoU": "hIoU"}
NAMES |= {
    f"{kind}-{theirs}": f"{kind}_{ours}"
    for kind in ("mIoU", "mRecall")
    for theirs, ours in (("base", "seen"), ("unbase", "unseen"))
}


@pytest.mark.parametrize("setting", ["oracle", "pred_all"])
def test_metrics_agree(setting):
    if not GOLDEN.path("eval.json").is_file():
        pytest.skip(f"{GOLDEN.folder} has no eval.json")
    facts = json.loads(GOLDEN.path("eval.json").read_text())
    tensors = load_file(GOLDEN.path("eval.safetensors"))
    scores, ground_truth = tensors[f"scores_{setting}"], tensors["gt_part_labels"].numpy()
    classes = GOLDEN.facts["test"]["classes"]
    metric = PartSegmentationMetric(
        classes, facts["base_class_ids"], GOLDEN.facts["ignore_value"], "partcatseg", setting == "pred_all"
    )
    ids = [*range(len(classes)), -1][: scores.shape[1]]
    for maps, labels in zip(scores, ground_truth):
        answer = best_class(maps, ids).numpy()
        reference = resize_nearest(labels.astype(np.int64), maps.shape[-2:])
        metric.update(answer, reference, np.ones(reference.shape, dtype=bool))
    expected = torch.tensor(facts[f"confusion_{setting}"]).numpy()
    np.testing.assert_array_equal(metric.confusion_matrix, expected)
    numbers, stored = metric.compute(), facts["metrics"]["oracle_obj" if setting == "oracle" else setting]
    for theirs, ours in NAMES.items():
        assert numbers[ours] == pytest.approx(stored[theirs], abs=1e-9)
    for name in classes:
        assert numbers["IoU"][name] == pytest.approx(stored[f"IoU-{name}"], abs=1e-9)


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(0)
    return load_model("toy-partcatseg")


@pytest.mark.parametrize(
    ("setting", "metrics"),
    [
        *(("oracle_obj", metrics) for metrics in ("ov_parts", "partcatseg", "partclipseg")),
        *(("pred_all", metrics) for metrics in ("partcatseg", "partclipseg", "strict")),
    ],
)
def test_every_setting_and_definition(setting, metrics, toy, pascal):
    result = evaluate_model(*toy, pascal, setting=setting, metrics=metrics, max_images=2, progress=False)
    assert 0 <= result.metrics["mIoU"] <= 100


def test_an_image_goes_through_once_whatever_its_objects(toy, pascal):
    """And names once through the text encoder: two parts of one object share its name."""
    model, _ = toy
    images, prompts = [], []
    hooks = [
        model.backbone.register_forward_hook(lambda _module, given, _: images.append(len(given[0]))),
        model.clip.text_model.register_forward_pre_hook(
            lambda _module, _, given: prompts.append(len(given["input_ids"])), with_kwargs=True
        ),
    ]
    result = evaluate_model(*toy, pascal, max_images=3, progress=False)
    for hook in hooks:
        hook.remove()
    assert sum(images) == 3 <= result.dataset["num_records"]
    taxonomy = pascal.taxonomy
    names = {name for class_name in taxonomy.part_classes for name in level_names(class_name)}
    assert 0 < sum(prompts) <= len(names) * model.config.num_templates
    assert len(names) < 2 * len(taxonomy.part_classes)


def test_a_segmenter_finds_parts_of_any_objects(toy):
    segmenter = PartSegmenter(*toy)
    result = segmenter(draw("validation", 8).image, {"bench": ["seat", "leg"], "dog": ["leg"]}, background=False)
    assert list(result.classes) == ["bench's seat", "bench's leg", "dog's leg"]
    assert set(result.label_map.flatten().tolist()) <= {0, 1, 2}
    assert segmenter(draw("validation", 8).image, ["wheel", "dog"]).label_map.shape == result.label_map.shape


def test_a_stored_vocabulary_knows_the_names_of_its_parts(toy, tmp_path):
    """Other classes that are made of the same names need only their own text."""
    model, processor = load_model("toy-partcatseg")
    model.load_state_dict(toy[0].state_dict())
    model.store_vocabulary(processor, ["dog's ear", "cat's tail"], progress=False)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, own = load_model(tmp_path)
    assert loaded.vocabulary == ["dog's ear", "cat's tail"]
    seen = []
    hook = loaded.clip.text_model.register_forward_pre_hook(
        lambda _module, _, given: seen.append(given["input_ids"].flatten().unique()), with_kwargs=True
    )
    features = loaded.encode_class_names(own, ["cat's ear", "dog's ear"])
    hook.remove()
    count = loaded.config.num_templates
    assert torch.equal(features[1], loaded.class_features[0])
    assert torch.equal(features[0, count : 2 * count], loaded.class_features[0, count : 2 * count])
    assert torch.equal(features[0, 2 * count :], loaded.class_features[1, 2 * count :])
    assert len(seen) == 1
