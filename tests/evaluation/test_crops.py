"""Parts that are looked for in a crop around each object."""

from __future__ import annotations

import dataclasses
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.data.augmentation import Compose
from ovparts_hf.data.training_set import EpochIndex, TrainingSet
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.inference.tta import TestTimeAugmentation
from ovparts_hf.models.modeling_utils import PartSegmentationOutput
from ovparts_hf.taxonomy.tasks import get_task

from ..inference.test_tta_crf import Field
from .conftest import predict, zero_shot_records

MARGIN = 0.2


@pytest.fixture
def cropping(model, monkeypatch):
    """The model, as if it were trained on crops of objects."""
    monkeypatch.setattr(model.config, "object_crop_margin", MARGIN)
    return model


def window(object_map, ignore_index):
    """The rows and columns of a crop, found pixel by pixel."""
    rows, columns = np.nonzero(object_map != ignore_index)
    ends = [(rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1)]
    side = max(end - start for start, end in ends) * (1 + 2 * MARGIN)
    slices = []
    for (start, end), length in zip(ends, object_map.shape):
        pixels = np.arange(length)
        touched = (pixels + 1 > (start + end) / 2 - side / 2) & (pixels < (start + end) / 2 + side / 2)
        slices.append(slice(pixels[touched][0], pixels[touched][-1] + 1))
    return tuple(slices)


@torch.no_grad()
def plain_label_map(model, processor, dataset, sample, record):
    """One forward pass for the crop of a record alone, and its best parts where the crop is."""
    rows, columns = window(sample.object_map, dataset.taxonomy.ignore_index)
    image = Image.fromarray(np.asarray(sample.image)[rows, columns])
    parts = list(dataset.taxonomy.parts_of(record.object_id))
    classes = processor(classes=[dataset.taxonomy.part_classes[i] for i in parts])
    features = model.encode_classes(**classes)
    logits = model(**processor(images=[image]), class_features=features).logits
    scores = torch.nn.functional.interpolate(logits, size=image.size[::-1], mode="bilinear")[0].sigmoid()
    label_map = np.full(sample.part_map.shape, -1)
    label_map[rows, columns] = np.array(parts)[scores.argmax(0).numpy()]
    return label_map


@pytest.mark.parametrize("batch_size", [1, 4])
def test_each_object_is_predicted_in_its_crop(cropping, processor, dataset, batch_size):
    records = zero_shot_records(dataset)
    predictions = predict(cropping, processor, dataset, records, batch_size=batch_size)
    assert [prediction.record for prediction in predictions] == records
    for prediction in predictions:
        sample = dataset.read(prediction.record)
        np.testing.assert_array_equal(prediction.sample.part_map, sample.part_map)
        expected = plain_label_map(cropping, processor, dataset, sample, prediction.record)
        assert (prediction.label_map == expected).mean() > 0.999  # a tie may fall the other way
        np.testing.assert_array_equal(prediction.label_map < 0, expected < 0)


def test_objects_that_were_found_are_cropped_and_found_once_in_each_image(cropping, processor, pascal):
    records = zero_shot_records(pascal)
    images = list(dict.fromkeys((record.split, record.row) for record in records))
    assert len(images) < len(records)  # some image has several objects
    calls = []

    class Shrunk:
        """What is there, but for its upper half."""

        def __init__(self):
            self.maps = {}
            for record in records:
                sample = pascal.read(record)
                object_map = self.maps.setdefault(sample.image_id, np.full(sample.part_map.shape, -1))
                object_map[sample.object_map == record.object_id] = record.object_id

        def find(self, sample):
            calls.append(sample.image_id)
            object_map = self.maps[sample.image_id]
            rows = np.arange(len(object_map))[:, None]
            return np.where(rows < np.nonzero(object_map >= 0)[0].mean(), -1, object_map)

    predictions = predict(cropping, processor, pascal, records, setting="pred_obj", objects=Shrunk())
    assert len(calls) == len(images) and len(predictions) == len(records)
    found = 0
    for prediction in predictions:
        sample, ignore = prediction.sample, pascal.taxonomy.ignore_index
        inside = sample.object_map != ignore
        assert (prediction.label_map[~inside] == -1).all()
        if inside.any():
            found += 1
            expected = plain_label_map(cropping, processor, pascal, sample, prediction.record)
            assert (prediction.label_map == expected)[inside].mean() > 0.999
    assert found


def test_whole_images_stay_whole(cropping, processor, pascal, monkeypatch):
    records = zero_shot_records(pascal, 2)
    in_crops = predict(cropping, processor, pascal, records, setting="pred_all")
    monkeypatch.setattr(cropping.config, "object_crop_margin", None)
    whole = predict(cropping, processor, pascal, records, setting="pred_all")
    assert len(whole) == 2
    for one, other in zip(in_crops, whole, strict=True):
        np.testing.assert_array_equal(one.label_map, other.label_map)


def test_a_model_that_reads_colours_is_right(cropping, processor, pascal, monkeypatch):
    """Parts have colours in these images; a crop that was pasted elsewhere, or another one, would show."""
    record = max(zero_shot_records(pascal), key=lambda each: len(pascal.parts_in(each)))
    read = pascal.read

    def painted(record):
        sample = read(record)
        colours = np.where(sample.part_map == pascal.taxonomy.ignore_index, 0, sample.part_map + 1).astype(np.uint8)
        return dataclasses.replace(sample, image=Image.fromarray(np.repeat(colours[..., None], 3, axis=2)))

    def forward(pixel_values, class_features, **_):
        ids = torch.arange(len(class_features)).view(1, -1, 1, 1) + parts[0] + 1
        return PartSegmentationOutput(logits=10 - (pixel_values[:, :1] - ids).abs())

    parts = pascal.taxonomy.parts_of(record.object_id)
    assert list(parts) == list(range(parts[0], parts[0] + len(parts)))
    images = processor.image_processor
    monkeypatch.setattr(pascal, "read", painted)
    monkeypatch.setattr(cropping, "forward", forward)
    size = {"height": 256, "width": 256}
    for name, value in {"do_normalize": False, "do_rescale": False, "resample": 0, "size": size}.items():
        monkeypatch.setattr(images, name, value)
    [prediction] = predict(cropping, processor, pascal, [record])
    labelled = prediction.sample.part_map != pascal.taxonomy.ignore_index
    assert (prediction.label_map == prediction.sample.part_map)[labelled].mean() > 0.9


@pytest.mark.parametrize("options", [{"test_time": TestTimeAugmentation(tta=True)}, {"workers": 1}])
def test_other_options_work_on_crops(cropping, processor, pascal, options):
    records = zero_shot_records(pascal, 2)
    plain = predict(cropping, processor, pascal, records)
    others = predict(cropping, processor, pascal, records, **options)
    assert len(plain) == len(others) == len(records)
    for one, other in zip(plain, others):
        np.testing.assert_array_equal(one.label_map < 0, other.label_map < 0)
        assert "workers" not in options or (one.label_map == other.label_map).all()


def test_a_crf_is_shown_the_crop(cropping, processor, pascal, monkeypatch):
    module = ModuleType("pydensecrf.densecrf")
    module.DenseCRF2D = Field  # which compares the sizes of image and scores, and prefers the last class
    monkeypatch.setitem(sys.modules, "pydensecrf", ModuleType("pydensecrf"))
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", module)
    records = [each for each in zero_shot_records(pascal, 3) if len(pascal.taxonomy.parts_of(each.object_id)) > 1]
    predictions = predict(cropping, processor, pascal, records, test_time=TestTimeAugmentation(crf=True))
    assert predictions
    for prediction in predictions:
        rows, columns = window(prediction.sample.object_map, pascal.taxonomy.ignore_index)
        expected = np.full(prediction.label_map.shape, -1)
        expected[rows, columns] = pascal.taxonomy.parts_of(prediction.record.object_id)[-1]
        np.testing.assert_array_equal(prediction.label_map, expected)


def test_refiners_see_whole_images_and_scores_lie_where_the_parts_are(cropping, processor, pascal):
    shapes = []

    def refiner(image, masks):
        shapes.append((image.size[::-1], masks.shape[1:]))
        return masks

    records = zero_shot_records(pascal, 2)
    plain = Predictor(cropping, processor, pascal, compat=None).predict(records, part_scores=True)
    refined = Predictor(cropping, processor, pascal, compat=None, refiner=refiner).predict(records, part_scores=True)
    for one, other in zip(plain, refined, strict=True):
        inside = one.sample.object_map != pascal.taxonomy.ignore_index
        np.testing.assert_array_equal(np.where(inside, one.label_map, -1), other.label_map)
        assert one.part_scores == other.part_scores and all(0 < score < 1 for score in one.part_scores.values())
        assert set(one.part_scores) == set(np.unique(one.label_map[inside]).tolist())
    assert shapes and all(image == mask for image, mask in shapes)


def test_the_result_says_so(cropping, processor, pascal, monkeypatch):
    result = evaluate_model(cropping, processor, pascal, max_images=1, intervals=False, progress=False)
    assert result.config["object_crop_margin"] == MARGIN
    monkeypatch.setattr(cropping.config, "object_crop_margin", None)
    result = evaluate_model(cropping, processor, pascal, max_images=1, intervals=False, progress=False)
    assert "object_crop_margin" not in result.config


@pytest.mark.parametrize("task", ["zero_shot", "few_shot"])
def test_training_shows_what_evaluation_shows(cropping, processor, dataset, task, monkeypatch):
    task, shown = get_task(task), []
    records = dataset.training_records(task, "object")
    target = task.train_taxonomy(dataset.taxonomy)

    def remember(images):
        shown.extend(np.asarray(image) for image in images)
        return {}

    examples = TrainingSet(dataset, records, target, Compose([]), remember, (8, 8), 0, object_crop_margin=MARGIN)
    for index in range(len(examples)):
        assert examples.drawn_record(EpochIndex(0, index)) == records[index]
        examples[EpochIndex(0, index)]
    trained, shown = shown, []
    prepare = processor.image_processor.preprocess
    monkeypatch.setattr(
        processor.image_processor,
        "preprocess",
        lambda images, **options: shown.extend(map(np.asarray, images)) or prepare(images, **options),
    )
    predict(cropping, processor, dataset, records)
    assert len(trained) == len(shown) == len(records) > 0
    for one, other, record in zip(trained, shown, records):
        np.testing.assert_array_equal(one, other)
        sample = dataset.read(record)
        rows, columns = window(sample.object_map, dataset.taxonomy.ignore_index)
        np.testing.assert_array_equal(one, np.asarray(sample.image)[rows, columns])
