import numpy as np
import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.bootstrap import (
    COUNTS_FILE,
    RESULT_FILE,
    bootstrap,
    compare,
    compare_results,
    comparison_table,
)
from ovparts_hf.evaluation.results import BenchmarkResult, describe_classes
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.metrics.scores import MEANS
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["cat", "bus"],
        "part_classes": ["cat's ear", "cat's tail", "bus's door"],
        "seen_objects": ["cat"],
    }
)
SEEN = TAXONOMY.seen_part_ids


def counted(accuracy, images=40, seed=0, metrics="ov_parts", pred_all=False, records=1):
    """A model that is right on a share of the pixels; the same seed gives the same images."""
    generator = np.random.default_rng(seed)
    metric = PartSegmentationMetric(TAXONOMY.part_classes, SEEN, TAXONOMY.ignore_index, metrics, pred_all)
    store = ImageCounts(3)
    for n in range(images):
        for _ in range(records):
            reference, wrong = generator.integers(0, 3, (2, 6, 6))
            prediction = np.where(generator.random((6, 6)) < accuracy, reference, wrong)
            store.add(f"{n:03}", metric.update(prediction, reference))
    return metric, store


@pytest.mark.parametrize(
    ("metrics", "pred_all"),
    [("ov_parts", False), ("strict", False), ("partclipseg", False), ("partclipseg", True), ("partcatseg", True)],
)
def test_intervals_hold_the_number(metrics, pred_all):
    metric, images = counted(0.6, metrics=metrics, pred_all=pred_all)
    intervals = bootstrap(images, SEEN, metrics, pred_all, samples=200)
    numbers = metric.compute()
    assert list(intervals) == list(MEANS)
    for key, (low, high) in intervals.items():
        assert low < numbers[key] < high < low + 15


def test_intervals_cover_the_true_number_as_often_as_they_say():
    truth = counted(0.6, images=4000, seed=99)[0].compute()["mIoU"]
    covered = 0
    for seed in range(60):
        low, high = bootstrap(counted(0.6, images=25, seed=seed)[1], SEEN, samples=200)["mIoU"]
        covered += low < truth < high
    assert 48 <= covered <= 60  # 95 % of 60 is 57


def test_all_records_of_an_image_are_drawn_together():
    _, split = counted(0.6, images=20, records=2)
    joined = ImageCounts(3)
    for image_id, first, second in zip(split.image_ids[::2], *[iter(split.matrices())] * 2):
        joined.add(image_id, first + second)
    assert bootstrap(split, SEEN, samples=50) == bootstrap(joined, SEEN, samples=50)


def test_order_of_images_does_not_matter_and_seed_does():
    _, images = counted(0.6)
    reverse = ImageCounts(3)
    for image_id, matrix in reversed(list(zip(images.image_ids, images.matrices()))):
        reverse.add(image_id, matrix)
    assert bootstrap(images, SEEN, samples=50) == bootstrap(reverse, SEEN, samples=50)
    assert bootstrap(images, SEEN, samples=50) != bootstrap(images, SEEN, samples=50, seed=1)


def test_what_is_undefined_has_no_interval():
    _, images = counted(0.6)
    intervals = bootstrap(images, range(3), samples=20)
    assert np.isnan(intervals["mIoU_unseen"]).all() and np.isnan(intervals["hIoU"]).all()


def test_a_better_model_is_found_and_an_equal_one_is_not():
    (worse_metric, worse), (better_metric, better) = counted(0.6), counted(0.7)
    found = compare(worse, better, SEEN, samples=300)["hIoU"]
    assert found.first == pytest.approx(worse_metric.compute()["hIoU"])
    assert found.second == pytest.approx(better_metric.compute()["hIoU"])
    assert 0 < found.low < found.second - found.first < found.high
    assert found.p_value < 0.01
    same = compare(worse, worse, SEEN, samples=50)["hIoU"]
    assert (same.low, same.high, same.p_value) == (0, 0, 1)


def test_pairing_is_sharper_than_two_intervals():
    (_, first), (_, second) = counted(0.6), counted(0.62)
    paired = compare(first, second, SEEN, samples=200)["mIoU"]
    widths = [np.ptp(bootstrap(images, SEEN, samples=200)["mIoU"]) for images in (first, second)]
    assert paired.high - paired.low < sum(widths)


@pytest.mark.parametrize("options", [{"images": 39}, {"images": 41}])
def test_other_images_are_refused(options):
    with pytest.raises(ConfigurationError, match=r"same images.*40 and (39|41) images, 1 of them in only one"):
        compare(counted(0.6)[1], counted(0.6, **options)[1], SEEN)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"samples": 0}, "samples is 0"), ({"confidence": 95}, "confidence is 95"), ({"metrics": "x"}, "Unknown metrics")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        bootstrap(counted(0.6)[1], SEEN, **{"samples": 5, **options})
    with pytest.raises(ConfigurationError, match="No image was counted"):
        bootstrap(ImageCounts(3), SEEN)


# ---- result folders ------------------------------------------------------------------------------------------------


def write_folder(path, accuracy, **changes):
    metric, images = counted(accuracy)
    arguments = {
        "metrics": metric.compute(),
        "classes": describe_classes(TAXONOMY),
        "task": "zero_shot",
        "setting": "oracle_obj",
        "dataset": {"name": "toy", "fingerprint": "ab12", "num_images": 40, "num_records": 40},
        "model": {"name": "tiny", "type": "ovparts_clipseg"},
        "seed": 0,
    }
    BenchmarkResult(**{**arguments, **changes}).to_json(path / RESULT_FILE)
    images.save(path / COUNTS_FILE)
    return path


def test_result_folders_are_compared(tmp_path):
    first, second = write_folder(tmp_path / "a", 0.6), write_folder(tmp_path / "b", 0.7)
    found = compare_results(first, second, samples=50)
    assert found == compare(counted(0.6)[1], counted(0.7)[1], SEEN, samples=50)
    lines = comparison_table(found).splitlines()
    assert "95 % interval" in lines[0] and len(lines) == 2 + len(MEANS)
    assert f"{found['mIoU'].second - found['mIoU'].first:+.2f}" in lines[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "few_shot"}, "differ in their task: 'zero_shot' and 'few_shot'"),
        ({"flavour": "strict"}, "differ in their flavour"),
        ({"classes": describe_classes(TAXONOMY, [])}, "differ in their classes"),
        ({"dataset": {"fingerprint": "cd"}}, "different data: 'ab12' and 'cd'"),
    ],
)
def test_unlike_results_are_refused(tmp_path, changes, message):
    first, second = write_folder(tmp_path / "a", 0.6), write_folder(tmp_path / "b", 0.7, **changes)
    with pytest.raises(ConfigurationError, match=message):
        compare_results(first, second)


def test_a_folder_without_counts_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", 0.6)
    (folder / COUNTS_FILE).unlink()
    with pytest.raises(ConfigurationError, match=r"image_counts.npz cannot be read.*evaluate again"):
        compare_results(folder, folder)
