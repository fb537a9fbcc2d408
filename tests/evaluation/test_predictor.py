import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import ImageOps

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.inference.tta import TestTimeAugmentation
from ovparts_hf.metrics import PartSegmentationMetric

from ..inference.test_tta_crf import Field
from .conftest import predict, zero_shot_records

TTA = TestTimeAugmentation(tta=True)

# ---- objects are given -----------------------------------------------------------------------------------------------


@torch.no_grad()
def plain_label_map(logits, dataset, record):
    """Of one forward pass for the image alone: all classes scored, those of other objects set to zero."""
    size = dataset.read(record).part_map.shape
    scores = torch.nn.functional.interpolate(logits, size=size, mode="bilinear")[0].sigmoid()
    others = sorted(set(range(len(scores))) - set(dataset.taxonomy.parts_of(record.object_id)))
    scores[others] = 0
    return scores.argmax(0).numpy()


@torch.no_grad()
def logits_of_images(model, processor, dataset, records):
    """From the id of an image to its logits, from a forward pass with all classes."""
    features = model.encode_classes(**processor(classes=dataset.taxonomy.part_classes))
    images = {sample.image_id: sample.image for sample in map(dataset.read, records)}
    return {id: model(**processor(images=[image]), class_features=features).logits for id, image in images.items()}


def test_predictions_equal_the_plain_computation(model, processor, dataset):
    records = zero_shot_records(dataset, 4)
    predictions = predict(model, processor, dataset, records, batch_size=3)
    assert [prediction.record for prediction in predictions] == records
    logits = logits_of_images(model, processor, dataset, records)
    for prediction in predictions:
        expected = plain_label_map(logits[prediction.sample.image_id], dataset, prediction.record)
        np.testing.assert_array_equal(prediction.label_map, expected)


def test_classes_that_interact_are_all_given(catseg, dataset):
    """One forward pass for each image, everything decoded, against what `Predictor` saves of that."""
    model, processor = catseg
    records = zero_shot_records(dataset, 4)
    predictions = predict(model, processor, dataset, records, batch_size=3)
    assert predictions
    logits = logits_of_images(model, processor, dataset, records)
    for prediction in predictions:
        sample = dataset.read(prediction.record)
        scores = logits[sample.image_id].sigmoid()
        others = sorted(set(range(scores.shape[1])) - set(dataset.taxonomy.parts_of(prediction.record.object_id)))
        scores[:, others] = -1
        scores = torch.nn.functional.interpolate(scores, size=sample.part_map.shape, mode="bilinear")[0]
        assert (prediction.label_map == scores.argmax(0).numpy()).mean() > 0.999


@pytest.mark.parametrize("name", ["clipseg", "catseg"])
def test_other_classes_are_left_out_where_they_cannot_matter(name, model, processor, catseg, pascal, monkeypatch):
    model, processor = catseg if name == "catseg" else (model, processor)
    given, forward = [], model.forward
    monkeypatch.setattr(model, "forward", lambda **inputs: given.append(inputs["class_features"]) or forward(**inputs))
    [record, *_] = zero_shot_records(pascal)
    predict(model, processor, pascal, [record])
    count = len(pascal.taxonomy.part_classes) if name == "catseg" else len(pascal.taxonomy.parts_of(record.object_id))
    assert [len(features) for features in given] == [count]


def test_substring_candidates_can_win(catseg, ade):
    records = zero_shot_records(ade)
    ids = [ade.taxonomy.object_classes.index(name) for name in ("chair", "door", "light", "bed", "table")]
    chosen = [record for record in records if record.object_id in ids][:4]
    assert chosen
    for prediction in predict(*catseg, ade, chosen, compat="ov_parts"):
        allowed = ade.taxonomy.parts_named_after(prediction.record.object_id)
        assert set(np.unique(prediction.label_map)) <= set(allowed)


# ---- nothing is given ------------------------------------------------------------------------------------------------


@torch.no_grad()
def probabilities_with_none(model, processor, sample, names):
    outputs = model(**processor(images=[sample.image], classes=names), include_none=True)
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    return F.interpolate(logits, size=sample.part_map.shape, mode="bilinear")[0].sigmoid().numpy()


def plain_whole_label_map(model, processor, dataset, sample, objects_first):
    taxonomy = dataset.taxonomy
    scores = probabilities_with_none(model, processor, sample, taxonomy.part_classes)
    if objects_first:
        best = probabilities_with_none(model, processor, sample, taxonomy.object_classes)[:-1].argmax(0)
        for part in range(len(taxonomy.part_classes)):
            scores[part] *= best == taxonomy.object_of(part)
    return scores.argmax(0)


@pytest.mark.parametrize("metrics", ["partcatseg", "partclipseg"])
def test_label_maps_equal_the_plain_computation(model, processor, dataset, metrics):
    background = len(dataset.taxonomy.part_classes)
    records = zero_shot_records(dataset, 3)
    predictions = predict(model, processor, dataset, records, setting="pred_all", metrics=metrics)
    assert len(predictions) == 3
    for prediction in predictions:
        expected = plain_whole_label_map(model, processor, dataset, prediction.sample, metrics == "partclipseg")
        found = np.where(prediction.label_map == -1, background, prediction.label_map)
        assert (found == expected).mean() > 0.999  # a tie may fall the other way
        assert prediction.record.object_id is None


@torch.no_grad()
def plain_map_inside_found_objects(model, processor, dataset, sample):
    """The scores of parts where their object is best, of "none" where it is, and 0 elsewhere."""
    taxonomy = dataset.taxonomy
    objects = [taxonomy.object_classes[i] for i in sorted(set(taxonomy.part_object_ids))]
    pixels, size = processor(images=[sample.image])["pixel_values"], sample.part_map.shape
    found, parts = (
        model(pixels, **model.encode_vocabulary(processor, names)) for names in (objects, taxonomy.part_classes)
    )
    scores, best = (
        F.interpolate(torch.cat([outputs.logits, outputs.none_logits], 1), size=size, mode="bilinear")[0].sigmoid()
        for outputs in (parts, found)
    )
    best = best.argmax(0)
    owners = [objects.index(taxonomy.object_classes[taxonomy.object_of(i)]) for i in range(len(taxonomy.part_classes))]
    return (scores * (best == torch.tensor([*owners, len(objects)])[:, None, None])).argmax(0).numpy()


@pytest.mark.parametrize("metrics", ["partclipseg", "strict"])
def test_parts_are_looked_for_inside_the_objects_that_the_model_finds(partclipseg, dataset, metrics, monkeypatch):
    """Whichever numbers are made of it, in one pass for each image."""
    model, processor = partclipseg
    background = len(dataset.taxonomy.part_classes)
    passes, encode_images = [], model.encode_images
    monkeypatch.setattr(model, "encode_images", lambda pixels: passes.append(1) or encode_images(pixels))
    records = zero_shot_records(dataset, 2)
    predictions = predict(model, processor, dataset, records, setting="pred_all", metrics=metrics)
    assert len(predictions) == len(passes) == 2
    segmenter = PartSegmenter(model, processor)
    for prediction in predictions:
        expected = plain_map_inside_found_objects(model, processor, dataset, prediction.sample)
        found = np.where(prediction.label_map == -1, background, prediction.label_map)
        assert (found == expected).mean() > 0.999  # a tie may fall the other way
        assert len(np.unique(expected)) > 2
        alike = segmenter(prediction.sample.image, dataset.taxonomy).label_map == prediction.label_map
        assert alike.mean() > 0.999


@pytest.mark.parametrize("metrics", ["partclipseg", "partcatseg", "strict"])
def test_numbers_are_those_of_the_metric(model, processor, dataset, metrics):
    result = evaluate_model(
        model, processor, dataset, setting="pred_all", metrics=metrics, max_images=3, compat=None, progress=False
    )
    taxonomy = dataset.taxonomy
    metric = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index, metrics, True)
    records = zero_shot_records(dataset, 3)
    for prediction in predict(model, processor, dataset, records, setting="pred_all", metrics=metrics):
        metric.update(prediction.label_map, prediction.sample.part_map)
    np.testing.assert_equal(result.metrics, metric.compute())
    assert result.setting == "pred_all" and result.flavour == metrics
    assert result.dataset["num_records"] == result.dataset["num_images"] == 3
    assert result.config["candidates"] == "all"


def test_an_image_has_the_labels_of_its_scored_objects(dataset):
    ignore = dataset.taxonomy.ignore_index
    for record in zero_shot_records(dataset, 3):
        group = [each for each in zero_shot_records(dataset, 3) if (each.split, each.row) == (record.split, record.row)]
        whole = dataset.read_objects(group)
        labelled = sum((dataset.read(each).part_map != ignore).astype(int) for each in group) > 0
        np.testing.assert_array_equal(whole.part_map != ignore, labelled)


def test_a_model_without_none_finds_a_part_everywhere(maskformer, pascal):
    records = zero_shot_records(pascal, 1)
    [prediction] = predict(*maskformer, pascal, records, setting="pred_all", metrics="partcatseg")
    assert prediction.label_map.min() >= 0
    with pytest.raises(ConfigurationError, match="closed vocabulary"):
        predict(*maskformer, pascal, records, setting="pred_all", metrics="partclipseg")


def test_refusals(model, processor, pascal, monkeypatch):
    with pytest.raises(ConfigurationError, match="'ov_parts' does not define scores for pred_all"):
        evaluate_model(model, processor, pascal, setting="pred_all", progress=False)
    monkeypatch.setattr(type(model), "requires_object_masks", True)
    with pytest.raises(ConfigurationError, match="requires the mask of each object, so it cannot segment whole images"):
        evaluate_model(model, processor, pascal, setting="pred_all", metrics="strict", progress=False)


# ---- test-time augmentation ------------------------------------------------------------------------------------------


@torch.no_grad()
def probabilities(model, processor, image, names, size):
    logits = model(**processor(images=[image], classes=names), include_none=False).logits
    return F.interpolate(logits, size=size, mode="bilinear")[0].sigmoid()


def test_the_mirrored_image_is_averaged(model, processor, pascal):
    taxonomy = pascal.taxonomy
    changed = 0
    records = zero_shot_records(pascal)[:5]
    plain = predict(model, processor, pascal, records)
    for prediction, before in zip(predict(model, processor, pascal, records, test_time=TTA), plain, strict=True):
        sample = prediction.sample
        parts = taxonomy.parts_of(prediction.record.object_id)
        names = [taxonomy.part_classes[i] for i in parts]
        size = sample.part_map.shape
        mirrored = probabilities(model, processor, ImageOps.mirror(sample.image), names, size).flip(-1)
        mean = (probabilities(model, processor, sample.image, names, size) + mirrored) / 2
        assert (prediction.label_map == np.array(parts)[mean.argmax(0)]).mean() > 0.999
        changed += (prediction.label_map != before.label_map).any()
    assert changed


def test_the_label_map_of_a_mirrored_image_is_mirrored(model, processor, pascal, monkeypatch):
    record = zero_shot_records(pascal)[0]
    options = {"setting": "pred_all", "metrics": "partcatseg", "test_time": TTA}
    [found] = predict(model, processor, pascal, [record], **options)
    original = pascal.read(record)
    original.image = ImageOps.mirror(original.image)
    monkeypatch.setattr(pascal, "read", lambda _: original)
    [mirrored] = predict(model, processor, pascal, [record], **options)
    assert (found.label_map == mirrored.label_map[:, ::-1]).mean() > 0.99


def test_any_size_model_end_to_end(maskformer, pascal, monkeypatch):
    monkeypatch.setattr("ovparts_hf.inference.tta.SHORT_EDGES", (32, 48))
    result = evaluate_model(*maskformer, pascal, test_time=TTA, max_images=1, progress=False)
    assert result.config["tta"] == "scales and flip"
    assert result.timings["seconds"] > 0


@pytest.mark.parametrize(("setting", "metrics"), [("oracle_obj", "ov_parts"), ("pred_all", "partclipseg")])
def test_the_result_says_what_was_on(model, processor, pascal, setting, metrics, monkeypatch):
    module = ModuleType("pydensecrf.densecrf")
    module.DenseCRF2D = Field
    monkeypatch.setitem(sys.modules, "pydensecrf", ModuleType("pydensecrf"))
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", module)
    options = dict(setting=setting, metrics=metrics, max_images=1, progress=False)
    off = evaluate_model(model, processor, pascal, **options)
    on = evaluate_model(model, processor, pascal, test_time=TestTimeAugmentation(True, True), **options)
    assert (off.config["tta"], off.config["crf"]) == ("off", False)
    assert (on.config["tta"], on.config["crf"]) == ("flip", True)
    assert on.metrics["IoU"] != off.metrics["IoU"]
