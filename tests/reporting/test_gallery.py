import numpy as np
import pytest

from ovparts_hf.evaluation.evaluator import evaluate
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.evaluation.ranking import rank
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.reporting.gallery import build_galleries, contact_sheet

from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0]


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


@pytest.fixture(scope="module")
def galleries(model, processor, pascal):
    predictor = Predictor(model, processor, pascal)
    return {task: build_galleries(predictor, task, count=3) for task in ("zero_shot", "few_shot")}


def test_unseen_and_seen_objects_are_told_apart(galleries, pascal):
    unseen, seen = galleries["zero_shot"]
    taxonomy = pascal.taxonomy
    for gallery, expected in ((unseen, False), (seen, True)):
        assert gallery.items
        for item in gallery.items:
            name = item.caption.split(" (")[0]
            assert (name in taxonomy.seen_objects) == expected
    captions = [item.caption.split(" (")[0] for item in unseen.items]
    assert len(captions) == len(set(captions)) <= 3


def test_after_few_shot_training_everything_is_seen(galleries):
    assert [gallery.title for gallery in galleries["few_shot"]] == ["Seen objects"]


def test_predictions_stay_inside_the_object_and_among_its_parts(galleries, pascal):
    taxonomy = pascal.taxonomy
    for gallery in galleries["zero_shot"]:
        for item in gallery.items:
            parts = taxonomy.parts_of(taxonomy.object_classes.index(item.caption.split(" (")[0]))
            predicted = item.prediction != -1
            assert set(np.unique(item.prediction[predicted])) <= set(parts)
            assert predicted[item.truth != taxonomy.ignore_index].all()
            assert not predicted.all()
            assert 0 <= item.iou <= 100


def test_contact_sheet_holds_the_first_examples(galleries):
    gallery = galleries["zero_shot"][1]
    one, two = contact_sheet(gallery, 1), contact_sheet(gallery, 2)
    assert two.height > one.height
    assert two.width >= one.width


@pytest.mark.parametrize(("setting", "metrics"), [("oracle_obj", "ov_parts"), ("pred_all", "strict")])
def test_ranked_galleries_show_what_was_scored(model, processor, pascal, setting, metrics):
    scores = []
    predictor = Predictor(model, processor, pascal, setting, metrics, compat=None)
    result = evaluate(predictor, scores=scores, progress=False)
    assert len(scores) == result.dataset["num_records"]
    galleries = build_galleries(predictor, count=3, scores=scores)
    ranked = {gallery.title: gallery.items for gallery in galleries}
    assert list(ranked)[2:] == ["Best predictions", "Worst predictions", "Most confused"]
    best, worst = ([item.iou for item in ranked[title]] for title in ("Best predictions", "Worst predictions"))
    assert best == sorted(best, reverse=True) and worst == sorted(worst)
    assert worst[0] == pytest.approx(min(score.iou for score in scores))
    assert best[0] >= worst[0]
    for title, order in (("Best predictions", "best"), ("Most confused", "confused")):
        expected = [score.iou for score in rank(scores, order, pascal.taxonomy, 3)]
        assert [item.iou for item in ranked[title]] == pytest.approx(expected, abs=0.5)
    assert ranked["Most confused"] and all(" taken for " in item.caption for item in ranked["Most confused"])


def test_class_names_are_encoded_once_for_evaluation_and_galleries(model, processor, pascal, monkeypatch):
    scores, encoded, encode = [], [], model.encode_classes
    monkeypatch.setattr(model, "encode_classes", lambda **tokens: encoded.append(tokens) or encode(**tokens))
    predictor = Predictor(model, processor, pascal)
    evaluate(predictor, scores=scores, progress=False)
    assert len(build_galleries(predictor, scores=scores)) > 2
    assert len(encoded) == 1
