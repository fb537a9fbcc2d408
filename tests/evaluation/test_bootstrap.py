import re
from pathlib import Path

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
from ovparts_hf.metrics.flavours import FLAVOURS
from ovparts_hf.metrics.scores import MEANS, means
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["cat", "bus"],
        "part_classes": ["cat's ear", "cat's tail", "bus's door"],
        "seen_objects": ["cat"],
    }
)
SEEN = TAXONOMY.seen_part_ids


def counted(accuracy, images=40, seed=0, metrics="ov_parts", pred_all=False, records=1, size=6):
    """A model that is right on a share of the pixels; the same seed gives the same images."""
    generator = np.random.default_rng(seed)
    metric = PartSegmentationMetric(TAXONOMY.part_classes, SEEN, TAXONOMY.ignore_index, metrics, pred_all)
    store = ImageCounts(3)
    for n in range(images):
        for _ in range(records):
            reference, wrong = generator.integers(0, 3, (2, size, size))
            prediction = np.where(generator.random((size, size)) < accuracy, reference, wrong)
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


def test_draws_depend_on_the_seed_alone():
    """Intervals that are in print stay: these were computed one draw at a time."""
    _, images = counted(0.6)
    expected = {
        0: {
            "mIoU": (54.66308099793446, 60.029569988726564),
            "fwIoU": (54.73805580199701, 60.08646947140956),
            "mIoU_seen": (53.58387937011245, 59.824178679641925),
            "mIoU_unseen": (55.06998048088014, 62.40082644628099),
            "hIoU": (54.94195296614528, 60.43964826950857),
        },
        7: {
            "mIoU": (54.5920353172443, 60.07028024591649),
            "fwIoU": (54.645931664989924, 60.167946496460566),
            "mIoU_seen": (53.575822119833056, 59.95934489982902),
            "mIoU_unseen": (55.269791827890415, 61.81706675268233),
            "hIoU": (54.78664600531013, 60.18566235787005),
        },
    }
    for seed, intervals in expected.items():
        found = bootstrap(images, SEEN, samples=300, seed=seed)
        for key, interval in intervals.items():
            assert found[key] == pytest.approx(interval, abs=1e-9)


def slow_bootstrap(images, metrics, pred_all, samples, seed=0):
    """Draws images one by one and feeds each draw to the metric."""
    names = sorted(set(images.image_ids))
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(samples):
        metric = PartSegmentationMetric(TAXONOMY.part_classes, SEEN, TAXONOMY.ignore_index, metrics, pred_all)
        for position in generator.integers(len(names), size=len(names)):
            for image_id, matrix in zip(images.image_ids, images.matrices()):
                if image_id == names[position]:
                    metric.merge(matrix)
        draws.append(metric.compute())
    return {key: np.nanquantile([numbers[key] for numbers in draws], [0.025, 0.975]) for key in MEANS}


@pytest.mark.parametrize("entries", [1, 64, 1 << 20])  # one draw at a time, some, all
@pytest.mark.parametrize(
    ("metrics", "pred_all"), [(name, False) for name in FLAVOURS] + [("partclipseg", True), ("partcatseg", True)]
)
def test_intervals_equal_a_slow_loop(monkeypatch, metrics, pred_all, entries):
    monkeypatch.setattr("ovparts_hf.evaluation.bootstrap._MAX_ENTRIES", entries)
    _, images = counted(0.3, images=5, metrics=metrics, pred_all=pred_all, records=2, size=2)  # draws lack classes
    found = bootstrap(images, SEEN, metrics, pred_all, samples=20)
    expected = slow_bootstrap(images, metrics, pred_all, 20)
    for key in MEANS:
        np.testing.assert_allclose(found[key], expected[key], atol=1e-9)


def test_draws_are_scored_together(monkeypatch):
    _, images = counted(0.6)
    calls = []
    monkeypatch.setattr("ovparts_hf.evaluation.bootstrap.means", lambda *args: calls.append(args) or means(*args))
    bootstrap(images, SEEN, samples=1000)
    assert len(calls) == 1


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("ovparts_hf.evaluation.bootstrap._MAX_ENTRIES", 400)
    sizes = []
    monkeypatch.setattr(
        "ovparts_hf.evaluation.bootstrap.means",
        lambda counts, *args: sizes.append(counts.hit.shape) or means(counts, *args),
    )
    bootstrap(counted(0.6, images=40)[1], SEEN, samples=25)
    assert sizes == [(10, 3), (10, 3), (5, 3)]  # 40 images: 10 draws are 400 entries


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


def test_of_several_runs_the_means_are_drawn():
    runs = [counted(share, seed=seed)[1] for share, seed in ((0.5, 1), (0.6, 2), (0.7, 3))]
    assert bootstrap(runs[:1], SEEN, samples=50) == bootstrap(runs[0], SEEN, samples=50)
    low, high = bootstrap(runs, SEEN, samples=200)["hIoU"]
    middle = np.mean([compare(run, run, SEEN, samples=2)["hIoU"].first for run in runs])
    assert low < middle < high
    assert high - low < max(np.ptp(bootstrap(run, SEEN, samples=200)["hIoU"]) for run in runs)
    found = compare(runs, runs[2], SEEN, samples=200)["hIoU"]
    assert found.first == pytest.approx(middle) and 0 < found.low < found.second - found.first < found.high
    with pytest.raises(ConfigurationError, match="at least one run"):
        bootstrap([], SEEN)
    with pytest.raises(ConfigurationError, match="same images"):
        bootstrap([runs[0], counted(0.6, images=39)[1]], SEEN)


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
    [
        ({"samples": 0}, "samples is 0"),
        ({"samples": 1.5}, "samples holds"),
        ({"seed": -1}, "seed is -1"),
        ({"confidence": "x"}, "confidence is x"),
        ({"confidence": 95}, "confidence is 95"),
        ({"metrics": "x"}, "Unknown metrics"),
        ({"metrics": []}, "Unknown metrics"),
    ],
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
    assert "| first | second | difference | 95 % interval |" in re.sub(" +", " ", lines[0])
    assert len(lines) == 2 + len(MEANS)
    assert f"{found['mIoU'].second - found['mIoU'].first:+.2f}" in lines[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "few_shot"}, "differ in their task: 'zero_shot' and 'few_shot'"),
        ({"flavour": "strict"}, "differ in their flavour"),
        ({"classes": describe_classes(TAXONOMY, [])}, "differ in their classes"),
        ({"dataset": {"name": "small", "fingerprint": "cd"}}, "different data: 'ab12' and 'cd'"),
    ],
)
def test_unlike_results_are_refused(tmp_path, changes, message):
    first, second = write_folder(tmp_path / "a", 0.6), write_folder(tmp_path / "b", 0.7, **changes)
    with pytest.raises(ConfigurationError, match=message):
        compare_results(first, second)


def test_folders_of_earlier_versions_are_compared(tmp_path):
    old, new = Path(__file__).parent / "old_results" / "layout_2", write_folder(tmp_path / "new", 0.7)
    assert not (old / COUNTS_FILE).exists()
    assert compare_results(old, new, samples=50) == compare(counted(0.6)[1], counted(0.7)[1], SEEN, samples=50)
    counted(0.1)[1].save(new / "pictures.npz")  # left from an earlier evaluation into the same folder
    assert compare_results(old, new, samples=50)["mIoU"].second > 55


def test_a_folder_without_counts_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", 0.6)
    (folder / COUNTS_FILE).unlink()
    with pytest.raises(ConfigurationError, match=r"image_counts.npz cannot be read.*evaluate again"):
        compare_results(folder, folder)
