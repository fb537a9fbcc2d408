"""A file is a result, or is refused by the field that is wrong."""

import dataclasses
import json

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.evaluation.stored_result import read_result

from .test_results import OLD_RESULTS

FIELDS = [field.name for field in dataclasses.fields(BenchmarkResult) if field.name != "schema_version"]
MAY_BE_EMPTY = ("classes", "intervals", "breakdowns", "config", "hardware", "timings", "versions")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The content of a result file."""
    path = tmp_path_factory.mktemp("stored") / "result.json"
    BenchmarkResult.from_json(OLD_RESULTS / "layout_2" / "result.json").to_json(path)
    return json.loads(path.read_text())


def refuse(content, field, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=f"result.json is not a benchmark result: '{field}' does not hold"):
        BenchmarkResult.from_json(path)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_another_type_is_named(field, stored, tmp_path):
    kind = type(stored[field])
    wrong = [value for value in (None, 3, "x", [], {}, 1.5) if not isinstance(value, kind)]
    assert len(wrong) >= 4
    for value in wrong:
        refuse({**stored, field: value}, field, tmp_path)
    if kind in (list, dict) and field not in MAY_BE_EMPTY:
        refuse({**stored, field: kind()}, field, tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", [3]),
        ("classes", [{"name": "dog's ear"}]),
        ("classes", [{"name": "a's b", "object": "a", "part": "b", "seen": "yes"}]),
        ("dataset", {"name": 3}),
        ("model", {"type": "ovparts_clipseg"}),
        ("intervals", {"mIoU": 3}),
        ("intervals", {"mIoU": [1, "2"]}),
        ("timings", {"seconds": "3"}),
        ("breakdowns", {"sizes": {"small": "3"}}),
        ("breakdowns", {"confusions": [{"truth": "a"}]}),
        ("breakdowns", {"confusions": 3}),
    ],
)
def test_what_a_field_holds_is_checked(field, value, stored, tmp_path):
    refuse({**stored, field: value}, field, tmp_path)


@pytest.mark.parametrize("change", [{"hIoU": "3"}, {"IoU": {}}, {"IoU": 3}, {"strict": 3}, {"strict": {"mIoU": "3"}}])
def test_numbers_are_checked(change, stored, tmp_path):
    refuse({**stored, "metrics": {**stored["metrics"], **change}}, "metrics", tmp_path)


def test_a_whole_result_is_read(stored, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(stored))
    assert read_result(tmp_path / "result.json").keys() == {*FIELDS, "schema_version"}
