import copy
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import PartImageNet
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import Evaluator, evaluate, evaluate_model, score_folder
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.evaluation.submission import read_manifest, write_predictions
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.utils.resize import resize_nearest, shortest_edge_size

from ..data.preparation.relatives import write_partimagenet
from ..training.two_processes import run_in_two_processes
from .conftest import predict, zero_shot_records


def count_calls(monkeypatch, owner, name):
    calls = []
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: calls.append(args) or original(*args, **kwargs))
    return calls


def test_each_image_is_encoded_once_and_class_names_are_encoded_once(model, processor, dataset, monkeypatch):
    images = count_calls(monkeypatch, model, "encode_images")
    names = count_calls(monkeypatch, model, "encode_classes")
    result = evaluate_model(model, processor, dataset, batch_size=1, progress=False)
    assert len(images) == result.dataset["num_images"] < result.dataset["num_records"]
    assert len(names) == 1


def test_batches_and_workers_change_nothing(model, processor, dataset):
    expected = evaluate_model(model, processor, dataset, batch_size=1, progress=False).metrics
    for options in ({"batch_size": 2}, {"batch_size": 8}, {"batch_size": 3, "workers": 1}):
        found = evaluate_model(model, processor, dataset, **options, progress=False).metrics
        assert found["IoU"] == pytest.approx(expected["IoU"], nan_ok=True, abs=0.2)  # a tie may fall the other way
        assert found["hIoU"] == pytest.approx(expected["hIoU"], abs=0.1)


@pytest.mark.parametrize(("setting", "metrics"), [("oracle_obj", "ov_parts"), ("pred_all", "partclipseg")])
def test_partimagenet_is_scored_in_the_settings_of_its_papers(model, processor, setting, metrics, tmp_path):
    write_partimagenet(tmp_path / "PartImageNet")
    folder = write_repository(PartImageNet(data_dir=tmp_path), tmp_path / "prepared", progress=False)
    dataset = PartDataset.load(folder, tmp_path / "cache")
    result = evaluate_model(model, processor, dataset, "zero_shot", setting, metrics=metrics, progress=False)
    assert (result.dataset["name"], result.dataset["num_images"], result.dataset["num_records"]) == (
        "partimagenet",
        3,
        3,
    )
    assert len(result.metrics["IoU"]) == 147 and {"mIoU_seen", "mIoU_unseen", "hIoU"} <= set(result.metrics)


def scored(model, processor, dataset, label_size):
    taxonomy = dataset.taxonomy
    metric = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index)
    for prediction in predict(model, processor, dataset, zero_shot_records(dataset)):
        part_map, object_map = prediction.sample.part_map, prediction.sample.object_map
        if label_size is not None:
            size = shortest_edge_size(*part_map.shape, *label_size)
            part_map, object_map = resize_nearest(part_map, size), resize_nearest(object_map, size)
        metric.update(prediction.label_map, part_map, object_map != taxonomy.ignore_index)
    return metric.compute()


def test_label_sizes_are_the_published_ones_unless_chosen_otherwise(model, processor, dataset):
    expected = {}
    for compat, label_size in (("ov_parts", (800, 1333)), (None, None)):
        result = evaluate_model(model, processor, dataset, compat=compat, progress=False)
        expected[compat] = scored(model, processor, dataset, label_size)["IoU"]
        assert result.metrics["IoU"] == pytest.approx(expected[compat], nan_ok=True)
        assert result.config["compat"] == compat
        assert result.config["label_size"] == (list(label_size) if label_size else None)
    assert expected["ov_parts"] != expected[None]  # borders have moved


def test_few_shot_counts_every_class_as_seen(model, processor, dataset):
    result = evaluate_model(model, processor, dataset, "few_shot", progress=False)
    assert result.metrics["mIoU"] == result.metrics["mIoU_seen"]
    assert np.isnan(result.metrics["mIoU_unseen"])


def test_result_says_what_was_done(model, processor, dataset, tmp_path):
    result = evaluate_model(model, processor, dataset, max_images=2, seed=3, progress=False)
    assert result.dataset["num_images"] == 2
    assert result.dataset["name"] == dataset.taxonomy.name
    assert result.dataset["fingerprint"].startswith("Content sha256-")
    assert (result.task, result.setting, result.seed) == ("zero_shot", "oracle_obj", 3)
    assert result.model["type"] == "ovparts_clipseg"
    assert result.timings["images_per_second"] > 0
    result.to_json(tmp_path / "result.json")
    assert BenchmarkResult.from_json(tmp_path / "result.json").metrics["IoU"].keys() == result.metrics["IoU"].keys()


def test_refuses_what_it_cannot_evaluate(model, processor, dataset, monkeypatch):
    with pytest.raises(ConfigurationError, match="max_images is 0; it must be at least 1"):
        evaluate_model(model, processor, dataset, max_images=0)
    for options in ({"compat": "none"}, {"compat": True}, {"workers": -1}, {"workers": "1"}, {"metrics": []}):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            evaluate_model(model, processor, dataset, **options)
    monkeypatch.setattr(dataset, "evaluation_records", lambda task: [])
    with pytest.raises(ConfigurationError, match="no labelled object"):
        evaluate_model(model, processor, dataset)


def by_torchrun(arguments, out):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).parents[2] / "examples" / "evaluate.py"
    done = subprocess.run([*launch, str(script), *arguments, str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def in_copies_of_this_process(arguments, out):
    """Which have everything imported."""
    run_in_two_processes(partial(evaluate_on_the_command_line, arguments), out)


def evaluate_on_the_command_line(arguments, out):
    assert main(["evaluate", *arguments, str(out)]) == 0


@pytest.mark.parametrize(
    ("data", "options", "extra", "launch"),
    [
        ("ade_folder", [], 8, by_torchrun),
        ("pascal_folder", ["--setting", "pred_all", "--metrics", "strict"], 9, in_copies_of_this_process),
    ],
)
def test_two_processes_give_the_numbers_of_one(model, processor, data, options, extra, launch, request, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    arguments = [str(tmp_path / "model"), str(request.getfixturevalue(data)), "--device", "cpu"]
    arguments += ["--batch-size", "1", "--extra-scores", *options, "--out"]
    evaluate_on_the_command_line(arguments, tmp_path / "1")
    launch(arguments, tmp_path / "2")
    one, two = (BenchmarkResult.from_json(tmp_path / str(count) / "result.json") for count in (1, 2))
    assert (one.hardware["processes"], two.hardware["processes"]) == (1, 2)
    assert two.metrics["IoU"] == pytest.approx(one.metrics["IoU"], nan_ok=True, abs=1e-9)
    assert len(one.metrics["extra_scores"]) == extra
    assert two.metrics["extra_scores"] == pytest.approx(one.metrics["extra_scores"], nan_ok=True, abs=1e-9)


def test_images_go_through_the_model_once_and_names_not_at_all_when_stored(catseg, pascal, monkeypatch):
    model, processor = catseg
    dataset = pascal
    model = copy.deepcopy(model)
    encoded = count_calls(monkeypatch, model, "encode_classes")
    model.store_class_features(
        dataset.taxonomy.part_classes, model.encode_class_names(processor, dataset.taxonomy.part_classes)
    )
    first = len(encoded)
    images = count_calls(monkeypatch, model.backbone, "forward")
    result = evaluate_model(model, processor, dataset, batch_size=1, progress=False)
    assert len(encoded) == first > 0
    assert len(images) == result.dataset["num_images"] < result.dataset["num_records"]


def test_sliding_windows(catseg, model, processor, pascal):
    result = evaluate_model(*catseg, pascal, sliding_window=True, progress=False, max_images=1)
    assert result.config["sliding_window"] is True
    assert not catseg[1].image_processor.sliding_window
    assert 0 <= result.metrics["mIoU"] <= 100
    with pytest.raises(ConfigurationError, match="no sliding window"):
        evaluate_model(model, processor, pascal, sliding_window=True)


@pytest.mark.parametrize("compat", ["ov_parts", None])
def test_catseg_chooses_parts_by_substring_for_published_numbers_only(catseg, ade, compat, monkeypatch):
    calls = count_calls(monkeypatch, PartTaxonomy, "parts_named_after")
    result = evaluate_model(*catseg, ade, compat=compat, max_images=2, progress=False)
    assert bool(calls) == (compat == "ov_parts")
    assert result.config["candidates"] == ("substring" if compat else "id")


def test_clipseg_never_chooses_by_substring(model, processor, ade):
    assert evaluate_model(model, processor, ade, max_images=1, progress=False).config["candidates"] == "id"


def test_half_precision_moves_numbers_a_little(catseg, pascal):
    AcceleratorState._reset_state(reset_partial_state=True)
    plain = evaluate_model(*catseg, pascal, progress=False)
    AcceleratorState._reset_state(reset_partial_state=True)
    half = evaluate_model(*catseg, pascal, progress=False, accelerator=Accelerator(cpu=True, mixed_precision="bf16"))
    AcceleratorState._reset_state(reset_partial_state=True)
    assert (plain.config["mixed_precision"], half.config["mixed_precision"]) == ("no", "bf16")
    assert half.metrics["mIoU"] == pytest.approx(plain.metrics["mIoU"], abs=5)


def test_a_ready_predictor_gives_the_same_numbers_and_what_they_are_made_of(model, processor, dataset):
    options = {"setting": "oracle_obj", "compat": None}
    expected = evaluate_model(model, processor, dataset, max_images=2, progress=False, **options)
    predictor, scores = Predictor(model, processor, dataset, **options), []
    counts = ImageCounts(len(dataset.taxonomy.part_classes))
    result = evaluate(predictor, max_images=2, image_counts=counts, scores=scores, progress=False)
    np.testing.assert_equal(result.metrics, expected.metrics)
    assert result.intervals == expected.intervals and set(result.intervals) > {"mIoU"}
    assert len(scores) == len(counts) == result.dataset["num_records"] > 2


def test_intervals_can_be_left_out(model, processor, pascal, monkeypatch):
    monkeypatch.setattr("ovparts_hf.evaluation.evaluator.bootstrap", lambda *_: 1 / 0)
    result = evaluate_model(model, processor, pascal, max_images=1, intervals=False, progress=False)
    assert result.intervals == {} and "interval" not in result.table()
    with pytest.raises(ZeroDivisionError):
        evaluate_model(model, processor, pascal, max_images=1, progress=False)


def test_old_names_of_options_are_taken(model, processor, pascal):
    counts = ImageCounts(len(pascal.taxonomy.part_classes))
    with pytest.warns(FutureWarning, match="max_pictures is now called max_images|pictures is now called image_counts"):
        result = evaluate_model(model, processor, pascal, max_pictures=1, pictures=counts, progress=False)
    assert result.dataset["num_images"] == 1 and len(counts) == result.dataset["num_records"]
    with pytest.raises(TypeError, match="max_pixels"):
        evaluate_model(model, processor, pascal, max_pixels=1)


def test_predictions_are_added_one_by_one(model, processor, pascal):
    evaluator = Evaluator(pascal.taxonomy)
    predictions = predict(model, processor, pascal, zero_shot_records(pascal, 2))
    scores = [evaluator.add(prediction) for prediction in predictions]
    result = evaluator.result({"name": "pascal"}, {"name": "mine"}, seed=0)
    expected = evaluate_model(model, processor, pascal, compat=None, max_images=2, progress=False)
    np.testing.assert_equal(result.metrics, expected.metrics)
    assert evaluator.scores == scores and [score.record for score in scores] == [each.record for each in predictions]


# ---- folders of predictions ------------------------------------------------------------------------------------------


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
