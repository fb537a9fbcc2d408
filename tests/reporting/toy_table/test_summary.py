"""The numbers of the table, from stored results and counts."""

import json
import math

import numpy as np
import pytest

from ovparts_hf.evaluation.bootstrap import COUNTS_FILE, RESULT_FILE, bootstrap
from ovparts_hf.evaluation.results import BenchmarkResult, describe_classes
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.reporting.toy_table import jobs
from ovparts_hf.reporting.toy_table.document import scores_lines, table_markdown
from ovparts_hf.reporting.toy_table.jobs import RowJob
from ovparts_hf.reporting.toy_table.rows import table_plan
from ovparts_hf.reporting.toy_table.summary import METRICS, summarise
from ovparts_hf.taxonomy import TOY_WORLD

SIZE = len(TOY_WORLD.part_classes)


def stored(folder, name, seed, share):
    """A job whose model gets this share of the pixels of each class right."""
    job = RowJob(table_plan()["rows"][name], seed, folder, {})
    job.folder.mkdir(parents=True)
    counts = ImageCounts(SIZE)
    for number in range(6):
        right = np.random.default_rng((seed, number)).binomial(200, share, SIZE)
        matrix = np.zeros((SIZE + 1, SIZE + 1), dtype=np.int64)
        matrix[range(SIZE), range(SIZE)] = right
        matrix[range(SIZE), np.roll(np.arange(SIZE), 1)] = 200 - right
        counts.add(f"image {number}", matrix)
    metric = PartSegmentationMetric(TOY_WORLD.part_classes, TOY_WORLD.seen_part_ids, TOY_WORLD.ignore_index)
    metric.merge(counts.total())
    result = BenchmarkResult(
        metric.compute(),
        describe_classes(TOY_WORLD),
        "zero_shot",
        "oracle_obj",
        {"name": "toy-world"},
        {"name": name},
        seed,
    )
    counts.save(job.folder / COUNTS_FILE)
    result.to_json(job.folder / RESULT_FILE)
    with jobs._counted_cpu(job.folder, "training"):
        pass
    jobs._write_record(job, 5)
    return job


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    shares = {"clipseg": 0.6, "catseg": 0.4, "maskformer": 0.9}
    return [stored(folder, name, seed, share) for name, share in shares.items() for seed in (0, 1)]


@pytest.fixture(scope="module")
def summary(finished):
    about = {"command": "ovparts demo --table", "budget": 1, "budget_machine": "any", "processes": 2}
    return {**about, **summarise(finished, [], samples=200)}


def test_the_best_row_learns_no_unseen_parts(summary):
    assert summary["best"] == "clipseg"
    assert summary["rows"]["maskformer"]["mean"]["hIoU"] > summary["rows"]["clipseg"]["mean"]["hIoU"]


def test_means_and_deviations_are_those_of_the_seeds(summary):
    for row in summary["rows"].values():
        for key in METRICS:
            first, second = (row["seeds"][seed][key] for seed in (0, 1))
            assert row["mean"][key] == pytest.approx((first + second) / 2)
            assert row["deviation"][key] == pytest.approx(abs(first - second) / math.sqrt(2))


def test_intervals_are_of_the_mean_over_seeds(summary, finished):
    counts = [ImageCounts.load(job.folder / COUNTS_FILE) for job in finished[:2]]
    expected = bootstrap(counts, TOY_WORLD.seen_part_ids, samples=200)
    row = summary["rows"]["clipseg"]
    assert all(row["interval"][key] == list(expected[key]) for key in METRICS)
    assert row["interval"]["hIoU"][0] < row["mean"]["hIoU"] < row["interval"]["hIoU"][1]


def test_differences_are_paired_with_the_best(summary):
    best = summary["rows"]["clipseg"]
    assert best["difference"] is None
    for name, sign in (("catseg", -1), ("maskformer", 1)):
        difference = summary["rows"][name]["difference"]["hIoU"]
        assert sign * (difference["second"] - difference["first"]) > 0
        assert difference["low"] <= difference["second"] - difference["first"] <= difference["high"]
        assert difference["p_value"] < 0.05
        steps = [summary["rows"][name]["seeds"][seed]["hIoU"] - best["seeds"][seed]["hIoU"] for seed in (0, 1)]
        t = math.sqrt(2) * np.mean(steps) / np.std(steps, ddof=1)  # Student's t with one degree of freedom is Cauchy's
        assert difference["p_over_seeds"] == pytest.approx(1 - 2 / math.pi * math.atan(abs(t)))


def test_the_document_has_what_json_holds(summary):
    text = table_markdown(json.loads(json.dumps(summary)))
    assert text == table_markdown(summary)
    for row in summary["rows"].values():
        assert f"{row['mean']['hIoU']:.1f} ± {row['deviation']['hIoU']:.1f}" in text
    assert "CLIPSeg (from whole objects), the best row" in text


def test_with_one_seed_there_is_no_p_over_seeds(finished):
    about = {"command": "x", "budget": 1, "budget_machine": "any", "processes": 1}
    one_each = {**about, **summarise(finished[::2], [], samples=50)}
    assert one_each["rows"]["catseg"]["difference"]["hIoU"]["p_over_seeds"] is None
    assert " - |" in table_markdown(one_each).partition("## Differences")[2]


def test_one_seed_has_no_deviation_and_one_row_no_differences(finished):
    about = {"command": "x", "budget": 1, "budget_machine": "any", "processes": 1}
    alone = {**about, **summarise(finished[:1], [], samples=50)}
    assert alone["rows"]["clipseg"]["deviation"]["hIoU"] is None
    assert "±" not in "".join(scores_lines(alone)[1]) and "## Differences" not in table_markdown(alone)
