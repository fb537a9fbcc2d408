import math

import pytest

from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.reporting.paper import paper_tables, published


def result(task="zero_shot", dataset="pascal-part-116", setting="oracle_obj", flavour="ov_parts", start=1.0):
    keys = ("mIoU_seen", "mIoU_unseen", "hIoU", "mIoU")
    numbers = {key: start + n for n, key in enumerate(keys)}
    return BenchmarkResult(numbers, [], task, setting, {"name": dataset}, {"name": "m"}, 0, flavour)


def test_published_harmonic_means_are_those_of_seen_and_unseen():
    rows = [row for rows in published()["zero_shot"].values() for row in rows]
    triples = [row[setting] for row in rows for setting in ("oracle_obj", "pred_obj")]
    assert len(triples) == 34
    for seen, unseen, harmonic in triples:
        assert harmonic is None or harmonic == pytest.approx(2 * seen * unseen / (seen + unseen), abs=0.02)


def test_settings_of_one_model_share_a_row():
    (table,) = paper_tables([result(), result(setting="pred_obj", start=5.0)], ["a", "a"])
    assert table.groups == [(name, ["Seen", "Unseen", "Harmonic"]) for name in ("Oracle-Obj", "Pred-Obj")]
    assert table.rows[0].numbers == [1, 2, 3, 5, 6, 7]
    assert [row.published for row in table.rows] == [False] + [True] * 9
    supervised = table.rows[1]
    assert supervised.details == "ResNet-50, fully supervised"
    assert list(supervised.numbers[:2]) == [55.28, 52.14] and math.isnan(supervised.numbers[2])


def test_cross_dataset_knows_source_and_target():
    results = [result("cross_dataset"), result("cross_dataset", "ade20k-part-234", "pred_obj", start=10.0)]
    (table,) = paper_tables(results, ["a", "a"])
    assert [heading for heading, _ in table.groups] == ["Source: ade20k-part-234", "Target: pascal-part-116"]
    found = table.rows[0].numbers
    assert found[1:3] == [13, 4] and math.isnan(found[0]) and math.isnan(found[3])
    assert list(table.rows[-1].numbers) == [37.76, 21.87, 19.69, 13.88]


@pytest.mark.parametrize(
    "other",
    [
        result(flavour="strict"),
        result(dataset="toy-world"),
        result(setting="pred_all"),
        result("few_shot"),
    ],
)
def test_what_the_paper_has_no_number_for_makes_no_table(other):
    assert paper_tables([other], ["a"]) == []
