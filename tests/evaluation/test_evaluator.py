import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model, score
from ovparts_hf.evaluation.prediction import predict_records
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.processing import PartSegmentationProcessor
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task

from ..models.catseg import goldens as catseg_goldens
from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0]


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


@pytest.fixture(scope="module", params=["pascal", "ade"])
def dataset(request):
    return PartDataset.load(request.getfixturevalue(f"{request.param}_folder"))


def count_calls(monkeypatch, owner, name):
    calls = []
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: calls.append(args) or original(*args, **kwargs))
    return calls


@torch.no_grad()
def plain_label_map(model, processor, dataset, record):
    """One forward pass for the record alone: all classes scored, those of other objects set to zero."""
    sample = dataset.read(record)
    inputs = processor(images=[sample.image], classes=dataset.taxonomy.part_classes)
    logits = model(**inputs).logits
    scores = torch.nn.functional.interpolate(logits, size=sample.part_map.shape, mode="bilinear")[0].sigmoid()
    others = sorted(set(range(len(scores))) - set(dataset.taxonomy.parts_of(record.object_id)))
    scores[others] = 0
    return scores.argmax(0).numpy()


def test_predictions_equal_the_plain_computation(model, processor, dataset):
    records = dataset.evaluation_records(get_task("zero_shot"))
    predictions = list(predict_records(model, processor, dataset, records, batch_size=3))
    assert [prediction.record for prediction in predictions] == records
    for prediction in predictions:
        expected = plain_label_map(model, processor, dataset, prediction.record)
        np.testing.assert_array_equal(prediction.label_map, expected)


def test_each_image_is_seen_once_and_words_are_read_once(model, processor, dataset, monkeypatch):
    images = count_calls(monkeypatch, model, "encode_images")
    words = count_calls(monkeypatch, model, "encode_classes")
    result = evaluate_model(model, processor, dataset, batch_size=1, progress=False)
    assert len(images) == result.dataset["num_images"] < result.dataset["num_records"]
    assert len(words) == 1


@pytest.mark.parametrize(("batch_size", "workers"), [(2, 0), (8, 0), (3, 1)])
def test_batches_and_workers_change_nothing(model, processor, dataset, batch_size, workers):
    expected = evaluate_model(model, processor, dataset, batch_size=1, progress=False).metrics
    found = evaluate_model(model, processor, dataset, batch_size=batch_size, workers=workers, progress=False).metrics
    assert found["IoU"] == pytest.approx(expected["IoU"], nan_ok=True, abs=0.2)  # a tie may fall the other way
    assert found["hIoU"] == pytest.approx(expected["hIoU"], abs=0.1)


def scored(model, processor, dataset, label_size):
    taxonomy = dataset.taxonomy
    metric = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index)
    for prediction in predict_records(model, processor, dataset, dataset.evaluation_records(get_task("zero_shot"))):
        score(metric, prediction, taxonomy.ignore_index, label_size)
    return metric.compute()


@pytest.mark.parametrize(("compat", "label_size"), [("ov_parts", (800, 1333)), (None, None)])
def test_label_sizes_are_the_published_ones_unless_told_otherwise(model, processor, dataset, compat, label_size):
    result = evaluate_model(model, processor, dataset, compat=compat, progress=False)
    assert result.metrics["IoU"] == pytest.approx(scored(model, processor, dataset, label_size)["IoU"], nan_ok=True)
    assert result.config["compat"] == compat
    assert result.config["label_size"] == (list(label_size) if label_size else None)


def test_published_label_sizes_move_borders(model, processor, dataset):
    assert scored(model, processor, dataset, (800, 1333))["IoU"] != scored(model, processor, dataset, None)["IoU"]


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


def test_refuses_what_it_cannot_evaluate(model, processor, dataset):
    with pytest.raises(ConfigurationError, match="no labelled object"):
        evaluate_model(model, processor, dataset, max_images=0)


def test_two_processes_give_the_numbers_of_one(model, processor, pascal_folder, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    script = Path(__file__).parents[2] / "examples" / "evaluate.py"
    arguments = [str(tmp_path / "model"), str(pascal_folder), "--device", "cpu", "--batch-size", "1"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    for count in (1, 2):
        out = ["--out", str(tmp_path / str(count))]
        command = [sys.executable, *launch, str(count), str(script), *arguments, *out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    one, two = (BenchmarkResult.from_json(tmp_path / str(count) / "result.json") for count in (1, 2))
    assert (one.hardware["processes"], two.hardware["processes"]) == (1, 2)
    assert two.metrics["IoU"] == pytest.approx(one.metrics["IoU"], nan_ok=True, abs=1e-9)


@pytest.fixture(scope="module")
def catseg():
    processor = PartSegmentationProcessor(
        CATSegImageProcessor(size={"height": 128, "width": 128}),
        golden_processor().tokenizer,
        templates=["{}", "a {}", "one {}"],
        scores="probabilities",
    )
    config = catseg_goldens.golden_config()
    config.text_config.vocab_size = len(processor.tokenizer)
    config.text_config.max_position_embeddings = 77
    config.text_config.eos_token_id = processor.tokenizer.eos_token_id
    torch.manual_seed(0)
    return CATSegForPartSegmentation(config).eval(), processor


def test_classes_that_interact_are_all_given(catseg, dataset):
    """One forward pass for each record, everything decoded, against what `predict_records` saves of that."""
    model, processor = catseg
    records = dataset.evaluation_records(get_task("zero_shot"))
    for prediction in predict_records(model, processor, dataset, records, batch_size=3):
        sample = dataset.read(prediction.record)
        with torch.no_grad():
            tokens = processor(classes=dataset.taxonomy.part_classes)
            logits = model(**processor(images=sample.image), **tokens).logits
        others = sorted(set(range(logits.shape[1])) - set(dataset.taxonomy.parts_of(prediction.record.object_id)))
        scores = logits.sigmoid()
        scores[:, others] = -1
        scores = torch.nn.functional.interpolate(scores, size=sample.part_map.shape, mode="bilinear")[0]
        assert (prediction.label_map == scores.argmax(0).numpy()).mean() > 0.999


def test_images_go_through_the_model_once_and_words_not_at_all_when_stored(catseg, pascal_folder, monkeypatch):
    model, processor = catseg
    dataset = PartDataset.load(pascal_folder)
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


def test_sliding_windows(catseg, model, processor, pascal_folder):
    dataset = PartDataset.load(pascal_folder)
    result = evaluate_model(*catseg, dataset, sliding_window=True, progress=False, max_images=2)
    assert result.config["sliding_window"] is True
    assert not catseg[1].image_processor.sliding_window
    assert 0 <= result.metrics["mIoU"] <= 100
    with pytest.raises(ConfigurationError, match="no sliding window"):
        evaluate_model(model, processor, dataset, sliding_window=True)


@pytest.mark.parametrize("compat", ["ov_parts", None])
def test_catseg_chooses_parts_by_substring_for_published_numbers_only(catseg, ade, compat, monkeypatch):
    asked = count_calls(monkeypatch, PartTaxonomy, "parts_named_after")
    result = evaluate_model(*catseg, ade, compat=compat, max_images=2, progress=False)
    assert bool(asked) == (compat == "ov_parts")
    assert result.config["candidates"] == ("substring" if compat else "id")


def test_substring_candidates_can_win(catseg, ade):
    records = ade.evaluation_records(get_task("zero_shot"))
    ids = [ade.taxonomy.object_classes.index(name) for name in ("chair", "door", "light", "bed", "table")]
    chosen = [record for record in records if record.object_id in ids][:4]
    assert chosen
    for prediction in predict_records(*catseg, ade, chosen, by_substring=True):
        allowed = ade.taxonomy.parts_named_after(prediction.record.object_id)
        assert set(np.unique(prediction.label_map)) <= set(allowed)


def test_clipseg_never_chooses_by_substring(model, processor, ade):
    assert evaluate_model(model, processor, ade, max_images=1, progress=False).config["candidates"] == "id"


def test_half_precision_moves_numbers_a_little(catseg, pascal_folder):
    dataset = PartDataset.load(pascal_folder)
    AcceleratorState._reset_state(reset_partial_state=True)
    plain = evaluate_model(*catseg, dataset, progress=False)
    AcceleratorState._reset_state(reset_partial_state=True)
    half = evaluate_model(*catseg, dataset, progress=False, accelerator=Accelerator(cpu=True, mixed_precision="bf16"))
    AcceleratorState._reset_state(reset_partial_state=True)
    assert (plain.config["mixed_precision"], half.config["mixed_precision"]) == ("no", "bf16")
    assert half.metrics["mIoU"] == pytest.approx(plain.metrics["mIoU"], abs=5)
