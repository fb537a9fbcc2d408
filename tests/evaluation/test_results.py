import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from ovparts_hf import __version__
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.results import BenchmarkResult, describe_breakdowns, describe_classes
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["cat", "chest of drawers"],
        "part_classes": ["cat's ear", "cat's tail", "chest of drawers's door", "chest of drawers's leg"],
        "seen_objects": ["cat"],
    }
)
OLD_RESULTS = Path(__file__).parent / "old_results"
"""Result folders as versions before layout 3 wrote them."""


def make_result(**changes):
    metric = PartSegmentationMetric(TAXONOMY.part_classes, TAXONOMY.seen_part_ids, TAXONOMY.ignore_index)
    metric.update([[0, 0, 0, 2, -1]], [[0, 0, 1, 2, 2]])
    arguments = {
        "metrics": metric.compute(),
        "classes": describe_classes(TAXONOMY),
        "task": "zero_shot",
        "setting": "oracle_obj",
        "dataset": {"name": "toy", "fingerprint": "ab12", "num_images": 1, "num_records": 2},
        "model": {"name": "tiny", "type": "ovparts_clipseg"},
        "seed": 0,
        "timings": {"seconds": 2.0, "images_per_second": 0.5},
    }
    return BenchmarkResult(**{**arguments, **changes})


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_classes_are_described_by_id_not_by_spelling():
    rows = describe_classes(TAXONOMY)
    assert rows[2] == {"name": "chest of drawers's door", "object": "chest of drawers", "part": "door", "seen": False}
    assert [row["seen"] for row in rows] == [True, True, False, False]
    assert [row["seen"] for row in describe_classes(TAXONOMY, range(4))] == [True] * 4


def test_json_round_trip_is_strict_and_keeps_nan_and_none(tmp_path):
    result = make_result(
        config={"limit": None, "output": Path("a"), "threshold": np.float32(0.5), "count": np.int64(3)}
    )
    path = tmp_path / "new" / "result.json"
    result.to_json(path)
    written = json.loads(path.read_text(), parse_constant=refuse_constant)
    assert written["metrics"]["IoU"]["chest of drawers's leg"] is None

    read = BenchmarkResult.from_json(path)
    assert math.isnan(read.metrics["IoU"]["chest of drawers's leg"])
    assert math.isnan(read.metrics["strict"]["IoU"]["chest of drawers's leg"])
    assert read.config == {"limit": None, "output": "a", "threshold": 0.5, "count": 3}
    assert read.metrics["hIoU"] == result.metrics["hIoU"]
    again = tmp_path / "again.json"
    read.to_json(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("layout", [1, 2])
def test_earlier_layouts_are_read(tmp_path, layout):
    path = OLD_RESULTS / f"layout_{layout}" / "result.json"
    old = json.loads(path.read_text())
    assert old["schema_version"] == layout
    read = BenchmarkResult.from_json(path)
    assert (read.schema_version, read.flavour) == (3, "ov_parts")
    assert read.dataset == {"name": "toy", "fingerprint": "ab12", "num_images": 40, "num_records": 40}
    assert read.timings == {"seconds": 20.0, "images_per_second": 2.0}
    assert (read.metrics, read.classes, read.config) == (old["metrics"], old["classes"], old["config"])
    assert "57.4" in read.table()
    read.to_json(tmp_path / "new.json")
    new = json.loads((tmp_path / "new.json").read_text())
    assert (new["schema_version"], new["intervals"]) == (3, old.get("intervals", {}))
    assert new["breakdowns"] == old.get("breakdowns", {})
    BenchmarkResult.from_json(tmp_path / "new.json").to_json(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "new.json").read_bytes()


def test_breakdowns_and_intervals_survive(tmp_path):
    metric = PartSegmentationMetric(TAXONOMY.part_classes, TAXONOMY.seen_part_ids, TAXONOMY.ignore_index)
    images = ImageCounts(metric.num_classes)
    images.add("a", metric.update([[0, 0, 1, 2, -1]], [[0, 0, 0, 2, 2]]))
    breakdowns = describe_breakdowns(metric, describe_classes(TAXONOMY), images)
    assert breakdowns["objects"] == pytest.approx({"cat": 200 / 3, "chest of drawers": 50})
    assert breakdowns["sizes"]["small"] == pytest.approx((200 / 3 + 50) / 2)
    assert breakdowns["confusions"][0]["prediction"] == "cat's tail"
    intervals = {"mIoU": (1.0, 2.0), "mIoU_unseen": (math.nan, math.nan)}
    path = tmp_path / "x.json"
    make_result(breakdowns=breakdowns, intervals=intervals).to_json(path)
    read = BenchmarkResult.from_json(path)
    assert math.isnan(read.breakdowns["parts"]["leg"]) and math.isnan(read.intervals["mIoU_unseen"][0])
    cells = [cell.strip() for cell in read.table().splitlines()[3].split("|")]
    assert cells == ["", "95 % interval", "1.0-2.0", "-", "-", "-", "-", ""]


def test_defaults_say_when_and_with_what():
    result = make_result()
    assert result.created.endswith("+00:00")
    assert {"ovparts_hf", "python", "torch", "transformers", "datasets"} <= set(result.versions)
    assert result.versions["ovparts_hf"] == __version__


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a benchmark result"),
        ("{}", r"\['breakdowns', 'classes', 'config'.*are missing"),
        ('{"schema_version": 1}', r"\['classes', 'config'.*are missing"),
        ('{"schema_version": 2, "dataset": 7}', r"\['breakdowns', 'classes', 'config'.*are missing"),
        ('{"schema_version": 4}', "has schema_version 4, but this library reads 3"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        BenchmarkResult.from_json(path)


def test_what_json_cannot_say_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="JSON compliant"):
        make_result(timings={"seconds": math.inf}).to_json(path)
    assert path.read_text() == "old"


def test_csv_has_a_line_for_each_class(tmp_path):
    path = tmp_path / "classes.csv"
    make_result().to_csv(path)
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == list(TAXONOMY.part_classes)
    assert lines[2] == {
        "name": "chest of drawers's door",
        "object": "chest of drawers",
        "part": "door",
        "seen": "false",
        "IoU": "100.0",
        "strict IoU": "50.0",
    }
    assert lines[3]["IoU"] == lines[3]["strict IoU"] == ""


def test_other_flavours_are_named_and_strict_has_no_twin(tmp_path):
    metric = PartSegmentationMetric(TAXONOMY.part_classes, TAXONOMY.seen_part_ids, 255, "strict", boundary=True)
    metric.update([[0, 0, 0, 2, -1]], [[0, 0, 1, 2, 2]])
    result = make_result(metrics=metric.compute(), flavour="strict")
    assert list(result.numbers()) == ["strict", "boundary"]
    assert [line.split()[1] for line in result.table().splitlines()] == ["IoU", "--------------", "strict", "boundary"]
    result.to_csv(tmp_path / "classes.csv")
    assert (tmp_path / "classes.csv").read_text().splitlines()[0] == "name,object,part,seen,IoU,boundary IoU"
    assert list(make_result(flavour="partcatseg").numbers()) == ["partcatseg", "strict"]


def test_table():
    assert make_result().table().splitlines() == [
        "| IoU in percent | mIoU | seen | unseen | harmonic | fwIoU |",
        "| -------------- | ---: | ---: | -----: | -------: | ----: |",
        "| official       | 55.6 | 33.3 |  100.0 |     50.0 |  58.3 |",
        "| strict         | 38.9 | 33.3 |   50.0 |     40.0 |  46.7 |",
    ]
    lines = make_result().table(per_class=True).splitlines()
    assert "| chest of drawers's door |   no |    100.0 |   50.0 |" in lines
    assert "| chest of drawers's leg  |   no |        - |      - |" in lines
