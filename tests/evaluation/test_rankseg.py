"""Evaluations with RankSEG in the place of the best class; a stand-in module has its interface."""

import sys
from types import ModuleType

import numpy as np
import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.reporting.cards import BENCHMARK_MODELS, model_card
from ovparts_hf.reporting.cards.eval_results import eval_result_entries
from ovparts_hf.reporting.paper import paper_tables

from .conftest import predict, zero_shot_records


@pytest.fixture
def rankseg(monkeypatch):
    """Takes the best class, too, so that everything else must stay as it was; notes how many pixels it saw."""
    module = ModuleType("rankseg")
    module.pixels = []

    class RankSEG:
        def __init__(self, **options):
            pass

        def predict(self, probs):
            module.pixels.append(probs.shape[2])
            return probs.argmax(1)

    module.RankSEG = RankSEG
    monkeypatch.setitem(sys.modules, "rankseg", module)
    return module


def test_a_result_says_how_it_was_decoded(model, processor, pascal, rankseg, tmp_path):
    plain = evaluate_model(model, processor, pascal, progress=False)
    result = evaluate_model(model, processor, pascal, decode="rankseg", progress=False)
    assert len(rankseg.pixels) > 3
    np.testing.assert_allclose(list(result.metrics["IoU"].values()), list(plain.metrics["IoU"].values()), atol=0.5)
    assert result.config == {**plain.config, "decode": "rankseg"} and "decode" not in plain.config
    assert result.table().startswith("Not official: decoded by RankSEG.")
    assert list(result.numbers()) == ["ov_parts", "strict"] and list(plain.numbers()) == ["official", "strict"]
    result.to_json(tmp_path / "result.json")
    assert BenchmarkResult.from_json(tmp_path / "result.json").unofficial == "decoded by RankSEG"


def test_it_never_stands_among_official_numbers(model, processor, pascal, rankseg):
    result = evaluate_model(model, processor, pascal, decode="rankseg", progress=False)
    plain = evaluate_model(model, processor, pascal, progress=False)
    assert paper_tables([plain], ["x"]) and not paper_tables([result], ["x"])
    assert eval_result_entries([plain]) and not eval_result_entries([result])
    facts = BENCHMARK_MODELS["clipseg-pascal-part-116-zero-shot"]
    with pytest.raises(ConfigurationError, match="decoded by RankSEG.* Evaluate again without --decode"):
        model_card(facts, [plain, result])


def test_rankseg_sees_the_object_alone_or_the_whole_image(model, processor, pascal, rankseg):
    records = zero_shot_records(pascal, images=1)
    predictions = predict(model, processor, pascal, records, decode="rankseg")
    areas = [(p.sample.object_map != pascal.taxonomy.ignore_index).sum() for p in predictions]
    assert rankseg.pixels == areas
    rankseg.pixels.clear()
    options = {"setting": "pred_all", "metrics": "strict"}
    [whole] = predict(model, processor, pascal, records, decode="rankseg", **options)
    assert rankseg.pixels == [whole.label_map.size]
    assert (whole.label_map == predict(model, processor, pascal, records, **options)[0].label_map).mean() > 0.99


def test_a_missing_package_is_noticed_before_anything_else(model, processor, pascal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rankseg", None)
    with pytest.raises(ConfigurationError, match="not installed"):
        evaluate_model(model, processor, pascal, decode="rankseg")
    with pytest.raises(ConfigurationError, match="decode is 'softmax'"):
        evaluate_model(model, processor, pascal, decode="softmax")
