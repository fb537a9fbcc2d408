import numpy as np
import pytest

from ovparts_hf.data.records import Record, by_image
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.average_precision import AP_NAMES
from ovparts_hf.evaluation.evaluator import evaluate_model, score_folder
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.evaluation.submission import write_predictions
from ovparts_hf.taxonomy.tasks import get_task

from .conftest import predict, zero_shot_records

MASKS = ["gIoU", "cIoU", "P@50"]
OBJECTS = ["mOSI", "mOSI_seen", "mOSI_unseen", "mUSI", "mUSI_seen", "mUSI_unseen"]


def percent(values):
    values = [value for value in values if value == value]
    return 100 * np.mean(values) if values else np.nan


def test_the_benchmarks_numbers_stay_as_they_are(model, processor, dataset, tmp_path):
    options = {"compat": None, "progress": False, "boundary": True}
    plain = evaluate_model(model, processor, dataset, **options)
    result = evaluate_model(model, processor, dataset, extra_scores=True, **options)
    extra = result.metrics.pop("extra_scores")
    assert "extra_scores" not in plain.metrics
    np.testing.assert_equal(result.metrics, plain.metrics)
    assert (result.intervals, result.config) == (plain.intervals, plain.config)
    assert list(extra) == [*MASKS, *(AP_NAMES if dataset.layout == "instance" else ())]
    assert all(0 <= value <= 100 or np.isnan(value) for value in extra.values())

    result.metrics["extra_scores"] = extra
    result.to_json(tmp_path / "result.json")
    np.testing.assert_equal(BenchmarkResult.from_json(tmp_path / "result.json").metrics["extra_scores"], extra)
    assert "| extra scores | gIoU | cIoU |" in result.table()


@pytest.mark.parametrize("metrics", ["ov_parts", "partcatseg"])
def test_masks_inside_objects_whatever_the_flavour(model, processor, dataset, metrics):
    """A flavour may drop answers where nothing is labelled; these scores count them, inside the given object."""
    result = evaluate_model(
        model, processor, dataset, compat=None, metrics=metrics, extra_scores=True, progress=False
    ).metrics["extra_scores"]
    ious = []
    for prediction in predict(model, processor, dataset, zero_shot_records(dataset)):
        sample = prediction.sample
        found = np.where(sample.object_map != dataset.taxonomy.ignore_index, prediction.label_map, -1)
        for part in np.setdiff1d(sample.part_map, [dataset.taxonomy.ignore_index]):
            a, b = found == part, sample.part_map == part
            ious.append((a & b).sum() / (a | b).sum())
    assert len(ious) > 5
    assert result["gIoU"] == pytest.approx(percent(ious))
    assert result["P@50"] == pytest.approx(percent([iou >= 0.5 for iou in ious]))


def test_objects_of_whole_images(catseg, dataset):
    """HOPS's definitions: objects are masks on Pascal-Part-116, and elsewhere what is labelled of their parts."""
    model, processor = catseg
    taxonomy = dataset.taxonomy
    ignore, parts = taxonomy.ignore_index, len(taxonomy.part_classes)
    options = {"compat": None, "setting": "pred_all", "metrics": "partcatseg"}
    result = evaluate_model(model, processor, dataset, extra_scores=True, progress=False, max_images=4, **options)
    extra = result.metrics["extra_scores"]
    assert list(extra) == [*MASKS, *OBJECTS]

    found, truth, objects = [], [], []
    records = zero_shot_records(dataset, 4)
    predictions = predict(model, processor, dataset, records, **options)
    for group, prediction in zip(by_image(records), predictions, strict=True):
        found.append(prediction.label_map.ravel())
        truth.append(dataset.read_objects(group).part_map.ravel())
        objects.append(dataset.read(Record(group[0].split, group[0].row)).object_map.ravel())
    found, truth, objects = (np.concatenate(maps) for maps in (found, truth, objects))
    truth[truth == ignore] = -1
    missed = [np.mean(found[truth == i] != i) if (truth == i).any() else np.nan for i in range(-1, parts)]
    assert extra["mUSI"] == pytest.approx(percent(missed))

    owner = np.append(taxonomy.part_object_ids, -1)
    owners, of_truth = owner[found], objects if taxonomy.name == "pascal-part-116" else owner[truth]
    outside = [
        np.mean(of_truth[owners == i] != i) if (owners == i).any() and (of_truth == i).any() else np.nan
        for i in sorted(set(taxonomy.part_object_ids))
    ]
    assert extra["mOSI"] == pytest.approx(percent(outside))


def test_part_scores_are_the_mean_of_the_best(model, processor, ade):
    records = zero_shot_records(ade)
    [first, *_] = Predictor(model, processor, ade, compat=None).predict(records, part_scores=True)
    inside = first.sample.object_map != ade.taxonomy.ignore_index
    assert set(first.part_scores) == set(np.unique(first.label_map[inside]).tolist())
    assert all(0 <= score <= 1 for score in first.part_scores.values())
    assert next(iter(predict(model, processor, ade, records))).part_scores is None


def test_predictions_in_a_folder_have_all_but_part_ap(model, processor, dataset, tmp_path):
    records = dataset.evaluation_records(get_task("zero_shot"))
    predictions = predict(model, processor, dataset, records)
    folder = write_predictions(tmp_path / "maps", dataset, ((p.record, p.label_map) for p in predictions))
    scored, _ = score_folder(folder, dataset, extra_scores=True, progress=False)
    evaluated = evaluate_model(model, processor, dataset, compat=None, extra_scores=True, progress=False)
    expected = {name: evaluated.metrics["extra_scores"][name] for name in MASKS}
    assert scored.metrics["extra_scores"] == pytest.approx(expected)


def test_a_damaged_file_is_noticed(model, processor, pascal, tmp_path):
    result = evaluate_model(model, processor, pascal, max_images=1, extra_scores=True, progress=False)
    for wrong in (3, {"gIoU": "x"}):
        result.metrics["extra_scores"] = wrong
        result.to_json(tmp_path / "result.json")
        with pytest.raises(ConfigurationError, match="'metrics' does not hold"):
            BenchmarkResult.from_json(tmp_path / "result.json")
