import multiprocessing
import tempfile
from functools import partialmethod
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf import metrics
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.taxonomy import TAXONOMIES

FOLDER = str(Path(metrics.__file__).parent / "part_miou")
NAMES = ["cat's ear", "cat's tail", "dog's ear"]


def load(config_name=None, **options):
    options.setdefault("cache_dir", tempfile.mkdtemp())
    return evaluate.load(FOLDER, config_name, **options)


def random_maps(count, classes=3, ignore=255, seed=0):
    generator = np.random.default_rng(seed)
    records = []
    for _ in range(count):
        size = generator.integers(1, 12, 2)
        prediction, reference = generator.integers(-1, classes, size), generator.integers(0, classes, size)
        reference[generator.random(size) < 0.2] = ignore
        records.append((prediction, reference, generator.random(size) < 0.7))
    return records


def assert_equal_numbers(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_equal_numbers(found[key], value)
        else:
            np.testing.assert_equal(found[key], value)


@pytest.mark.parametrize(
    "options", [{}, {"metrics": "strict"}, {"metrics": "partclipseg"}, {"metrics": "partcatseg", "pred_all": True}]
)
@pytest.mark.parametrize("with_masks", [False, True])
def test_equals_the_metric_however_the_maps_come(options, with_masks):
    records = random_maps(7)
    expected = PartSegmentationMetric(NAMES, [0, 1], 255, **options)
    for prediction, reference, mask in records:
        expected.update(prediction, reference, mask if with_masks else None)
    predictions, references, masks = zip(*records)
    masks = masks if with_masks else None
    options = {"class_names": NAMES, "seen_ids": [0, 1], "ignore_index": 255, **options}

    at_once = load().compute(predictions=predictions, references=references, object_masks=masks, **options)
    assert_equal_numbers(at_once, expected.compute())

    one_by_one = load(**options)
    for n, (prediction, reference) in enumerate(zip(predictions, references)):
        mask = masks and masks[n]
        one_by_one.add(prediction=prediction, reference=reference, object_mask=mask)
    assert len(one_by_one) == 7
    assert_equal_numbers(one_by_one.compute(), expected.compute())

    mixed = load(**options)
    mixed.add_batch(predictions=predictions[:3], references=references[:3], object_masks=masks and masks[:3])
    found = mixed.compute(predictions=predictions[3:], references=references[3:], object_masks=masks and masks[3:])
    assert_equal_numbers(found, expected.compute())


@pytest.mark.parametrize("taxonomy", TAXONOMIES.values(), ids=TAXONOMIES)
def test_configurations_know_the_vocabulary(taxonomy):
    classes, ignore = len(taxonomy.part_classes), taxonomy.ignore_index
    expected = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, ignore)
    records = random_maps(5, classes, ignore)
    for prediction, reference, _ in records:
        expected.update(prediction, reference)
    predictions, references, _ = zip(*records)
    found = load(taxonomy.name).compute(predictions=predictions, references=references)
    assert_equal_numbers(found, expected.compute())


def test_kinds_of_maps():
    label_map = np.array([[0, 1], [2, 255]])
    kinds = [
        label_map.astype(np.uint8),
        label_map.tolist(),
        Image.fromarray(label_map.astype(np.uint8)),
        Image.fromarray(label_map.astype(np.uint16)),
        torch.from_numpy(label_map),
    ]
    found = load(class_names=NAMES).compute(predictions=kinds, references=kinds)
    assert found["mIoU"] == found["strict"]["mIoU"] == 100
    stacked = np.stack([label_map, label_map])
    assert load(class_names=NAMES).compute(predictions=stacked, references=torch.from_numpy(stacked))["mIoU"] == 100


def test_computing_forgets():
    metric = load(class_names=NAMES)
    assert metric.compute(predictions=[[[0]]], references=[[[1]]])["mIoU"] == 0
    assert metric.compute(predictions=[[[1]]], references=[[[1]]])["mIoU"] == 100


def test_nothing_but_counts_is_stored(tmp_path):
    metric = load("ade20k-part-234", cache_dir=str(tmp_path))
    label_map = np.arange(20).repeat(25).reshape(1, 500).repeat(500, axis=0)
    for _ in range(4):
        metric.add_batch(predictions=[label_map] * 5, references=[label_map] * 5)
    metric.writer.finalize()
    stored = sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))
    assert 0 < stored < 20 * 500


def _process(number, folder, queue):
    metric = load(class_names=NAMES, num_process=2, process_id=number, experiment_id="test", cache_dir=folder)
    predictions, references, _ = zip(*random_maps(3, seed=number))
    metric.add_batch(predictions=predictions, references=references)
    queue.put((number, metric.compute()))


def test_several_processes_add_up(tmp_path):
    context = multiprocessing.get_context("fork")  # a fork has everything imported
    queue = context.Queue()
    processes = [context.Process(target=_process, args=(number, str(tmp_path), queue)) for number in (0, 1)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    expected = PartSegmentationMetric(NAMES, range(3), 255)
    for number in (0, 1):
        for prediction, reference, _ in random_maps(3, seed=number):
            expected.update(prediction, reference)
    assert_equal_numbers(found[0], expected.compute())
    assert found[1] is None


@pytest.fixture
def impatient(monkeypatch):
    """Files that a failed computation keeps locked are waited for 10 ms instead of a second."""
    create = evaluate.EvaluationModule._create_cache_file
    monkeypatch.setattr(evaluate.EvaluationModule, "_create_cache_file", partialmethod(create, timeout=0.01))


GOOD = np.zeros((2, 3), dtype=int)


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([GOOD], [GOOD.T], r"shape \(2, 3\), its reference \(3, 2\); they must be equal"),
        ([GOOD + 0.5], [GOOD], "prediction is of dtype float64"),
        ([GOOD], [GOOD.astype(np.float32)], "reference is of dtype float32"),
        ([GOOD - 2], [GOOD], "prediction holds ids from -2 to -2"),
        ([GOOD], [GOOD - 1], "reference holds ids from -1 to -1"),
        ([GOOD], [GOOD + 70000], "reference holds ids from 70000"),
        ([GOOD + 3], [GOOD], r"prediction holds the ids \[3\]; allowed are the classes 0 to 2"),
        ([GOOD], [GOOD + 254], r"reference holds the ids \[254\]"),
        ([GOOD, GOOD], [GOOD], "2 predictions, 1 references and 2 object masks"),
        ([], [], "0 predictions"),
        (GOOD, GOOD, r"prediction has shape \(3,\)"),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_bad_maps_are_refused_and_the_module_goes_on(impatient, predictions, references, message, early):
    metric = load(class_names=NAMES) if early else load()
    options = {} if early else {"class_names": NAMES}
    if early:
        with pytest.raises(ValueError, match=message):
            metric.add_batch(predictions=predictions, references=references)
        assert len(metric) == 0
    else:
        with pytest.raises(ValueError, match=message):
            metric.compute(predictions=predictions, references=references, **options)
    assert metric.compute(predictions=[GOOD], references=[GOOD], **options)["mIoU"] == 100


def test_bad_masks_are_refused():
    with pytest.raises(ValueError, match=r"its object mask \(3, 2\)"):
        load(class_names=NAMES).compute(predictions=[GOOD], references=[GOOD], object_masks=[GOOD.T])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config_name": "coco"}, "Unknown configuration 'coco'; choose one of"),
        ({"class_names": ["a", "a"]}, "occur more than once"),
        ({"class_names": NAMES, "metrics": "x"}, "Unknown metrics 'x'"),
    ],
)
def test_bad_options_are_refused_when_loading(options, message):
    with pytest.raises(ValueError, match=message):
        load(**options)


def test_bad_options_are_refused_before_counting():
    metric = load()
    with pytest.raises(ValueError, match="The vocabulary is not known"):
        metric.compute(predictions=[GOOD], references=[GOOD])
    with pytest.raises(ValueError, match=r"Unknown options \['num_labels'\]"):
        metric.compute(predictions=[GOOD], references=[GOOD], num_labels=3)
    assert len(metric) == 0
