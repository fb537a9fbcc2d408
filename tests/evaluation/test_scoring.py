import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.evaluation.scoring import score_folder
from ovparts_hf.evaluation.submission import read_manifest, write_predictions
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.utils.resize import resize_nearest, shortest_edge_size


@pytest.fixture(params=["pascal", "ade"])
def dataset(request):
    return request.getfixturevalue(request.param)


def guesses(dataset, task="zero_shot"):
    """For each record a label map of its object's parts that is right here and there."""
    generator = np.random.default_rng(0)
    for record in dataset.evaluation_records(get_task(task)):
        truth = dataset.read(record).part_map
        parts = [-1, *dataset.taxonomy.parts_of(record.object_id)]
        blocks = generator.choice(parts, (-(-truth.shape[0] // 8), -(-truth.shape[1] // 8)))
        wrong = blocks.repeat(8, axis=0).repeat(8, axis=1)[: truth.shape[0], : truth.shape[1]]
        right = (truth != dataset.taxonomy.ignore_index) & (wrong % 2 == 0)
        yield record, np.where(right, truth, wrong)


def fed(dataset, predictions, label_size=None, masks=True, **options):
    taxonomy = dataset.taxonomy
    metric = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index, **options)
    for record, label_map in predictions:
        sample = dataset.read(record)
        part_map, inside = sample.part_map, sample.object_map != taxonomy.ignore_index
        if label_size:
            size = shortest_edge_size(*part_map.shape, *label_size)
            part_map, inside = resize_nearest(part_map, size), resize_nearest(inside, size)
        metric.update(label_map, part_map, inside if masks else None)
    return metric


@pytest.mark.parametrize("label_size", [None, (800, 1333)])
@pytest.mark.parametrize("metrics", ["ov_parts", "strict", "partclipseg"])
def test_scores_are_those_of_the_metric(dataset, tmp_path, metrics, label_size):
    folder = write_predictions(tmp_path / "out", dataset, guesses(dataset), model="mine")
    result, images = score_folder(folder, dataset, metrics, label_size=label_size, progress=False)
    expected = fed(dataset, guesses(dataset), label_size, metrics=metrics)
    np.testing.assert_array_equal(images.total(), expected.confusion_matrix)
    np.testing.assert_equal(result.metrics, expected.compute())
    assert 0 < result.metrics["mIoU"] < 100
    assert result.model["name"] == "mine" and result.flavour == metrics
    assert result.dataset["num_records"] == len(images)
    low, high = result.intervals["mIoU"]
    assert low <= high and set(result.breakdowns) == {"objects", "parts", "confusions", "sizes"}
    result.to_json(tmp_path / "result.json")
    np.testing.assert_equal(BenchmarkResult.from_json(tmp_path / "result.json").metrics, result.metrics)


def test_without_given_objects_every_image_is_scored_once(dataset, tmp_path):
    first = {(record.split, record.row): (record, label_map) for record, label_map in guesses(dataset)}
    folder = write_predictions(tmp_path / "out", dataset, first.values(), setting="pred_all")
    result, _ = score_folder(folder, dataset, "partcatseg", boundary=True, progress=False)
    records = dataset.evaluation_records(get_task("zero_shot"))
    taxonomy = dataset.taxonomy
    expected = PartSegmentationMetric(
        taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index, "partcatseg", True, True
    )
    for image, (_, label_map) in first.items():
        group = [dataset.read(record) for record in records if (record.split, record.row) == image]
        part_map = np.full_like(label_map, taxonomy.ignore_index)
        for sample in group:
            labelled = sample.part_map != taxonomy.ignore_index
            part_map[labelled] = sample.part_map[labelled]
        expected.update(label_map, part_map)
    np.testing.assert_equal(result.metrics, expected.compute())
    assert len(first) == result.dataset["num_records"] < len(records)
    with pytest.raises(ConfigurationError, match="'ov_parts' does not define scores for pred_all"):
        score_folder(folder, dataset, progress=False)


def test_the_truth_scores_100_and_nothing_scores_0(dataset, tmp_path):
    ignore = dataset.taxonomy.ignore_index
    truth = [(record, dataset.read(record).part_map) for record, _ in guesses(dataset)]
    folder = write_predictions(tmp_path / "right", dataset, truth)
    metrics = score_folder(folder, dataset, boundary=True, progress=False)[0].metrics
    assert metrics["hIoU"] == metrics["strict"]["hIoU"] == metrics["boundary"]["hIoU"] == 100
    nothing = [(record, np.full_like(label_map, ignore)) for record, label_map in truth]
    folder = write_predictions(tmp_path / "nothing", dataset, nothing)
    assert score_folder(folder, dataset, progress=False)[0].metrics["strict"]["mIoU"] == 0


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (np.zeros((3, 4), dtype=np.uint8), r"has \(height, width\) \(3, 4\), but its image"),
        (None, r"holds the ids \[200\]"),
        (np.zeros((3, 4), dtype=np.uint16), "is no PNG with one channel of 8 bits"),
        (np.zeros((3, 4, 3), dtype=np.uint8), "is no PNG with one channel of 8 bits"),
    ],
)
def test_wrong_files_are_named(pascal, tmp_path, label_map, message):
    folder = write_predictions(tmp_path / "out", pascal, guesses(pascal))
    record, path = next(iter(read_manifest(folder, pascal)[1].items()))
    if label_map is None:
        label_map = np.full(pascal.read(record).part_map.shape, 200, dtype=np.uint8)
    Image.fromarray(label_map).save(path)
    with pytest.raises(ConfigurationError, match=rf"{path.name}.*{message}"):
        score_folder(folder, pascal, progress=False)
