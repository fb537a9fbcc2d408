import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.whole_images import predict_images
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
from ovparts_hf.models.processing import ClosedVocabularyProcessor
from ovparts_hf.taxonomy.tasks import get_task

from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor
from ..models.maskformer.test_modeling_maskformer import golden_config as maskformer_config


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0].eval()


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


@pytest.fixture(params=["pascal", "ade"])
def dataset(request):
    return request.getfixturevalue(request.param)


@torch.no_grad()
def probabilities(model, processor, sample, names):
    outputs = model(**processor(images=[sample.image], classes=names), include_none=True)
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    return F.interpolate(logits, size=sample.part_map.shape, mode="bilinear")[0].sigmoid().numpy()


def plain_answer(model, processor, dataset, sample, objects_first):
    taxonomy = dataset.taxonomy
    scores = probabilities(model, processor, sample, taxonomy.part_classes)
    if objects_first:
        best = probabilities(model, processor, sample, taxonomy.object_classes)[:-1].argmax(0)
        for part in range(len(taxonomy.part_classes)):
            scores[part] *= best == taxonomy.object_of(part)
    return scores.argmax(0)


def some(dataset, images=3):
    records = dataset.evaluation_records(get_task("zero_shot"))
    wanted = list(dict.fromkeys((r.split, r.row) for r in records))[:images]
    return [record for record in records if (record.split, record.row) in wanted]


@pytest.mark.parametrize("objects_first", [False, True])
def test_answers_equal_the_plain_computation(model, processor, dataset, objects_first):
    background = len(dataset.taxonomy.part_classes)
    predictions = list(predict_images(model, processor, dataset, some(dataset), objects_first=objects_first))
    assert len(predictions) == 3
    for prediction in predictions:
        expected = plain_answer(model, processor, dataset, prediction.sample, objects_first)
        found = np.where(prediction.label_map == -1, background, prediction.label_map)
        assert (found == expected).mean() > 0.999  # a tie may fall the other way
        assert prediction.record.object_id is None


@pytest.mark.parametrize("metrics", ["partclipseg", "partcatseg", "strict"])
def test_numbers_are_those_of_the_metric(model, processor, dataset, metrics):
    result = evaluate_model(
        model, processor, dataset, setting="pred_all", metrics=metrics, max_images=3, compat=None, progress=False
    )
    taxonomy = dataset.taxonomy
    metric = PartSegmentationMetric(taxonomy.part_classes, taxonomy.seen_part_ids, taxonomy.ignore_index, metrics, True)
    records = some(dataset)
    for prediction in predict_images(model, processor, dataset, records, objects_first=metrics == "partclipseg"):
        metric.update(prediction.label_map, prediction.sample.part_map)
    np.testing.assert_equal(result.metrics, metric.compute())
    assert result.setting == "pred_all" and result.flavour == metrics
    assert result.dataset["num_records"] == result.dataset["num_images"] == 3
    assert result.config["candidates"] == "all"


def test_an_image_has_the_labels_of_its_scored_objects(dataset):
    ignore = dataset.taxonomy.ignore_index
    for record in some(dataset):
        group = [each for each in some(dataset) if (each.split, each.row) == (record.split, record.row)]
        whole = dataset.read_objects(group)
        labelled = sum((dataset.read(each).part_map != ignore).astype(int) for each in group) > 0
        np.testing.assert_array_equal(whole.part_map != ignore, labelled)


def maskformer(names):
    torch.manual_seed(0)
    config = maskformer_config(num_labels=len(names))
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    size = {"shortest_edge": 64, "longest_edge": 96}
    return MaskFormerForPartSegmentation(config).eval(), ClosedVocabularyProcessor(
        MaskClassificationImageProcessor(size=size)
    )


def test_a_model_without_none_always_answers_a_part(pascal):
    model, processor = maskformer(pascal.taxonomy.part_classes)
    for prediction in predict_images(model, processor, pascal, some(pascal, 1)):
        assert prediction.label_map.min() >= 0
    with pytest.raises(ConfigurationError, match="closed vocabulary"):
        list(predict_images(model, processor, pascal, some(pascal, 1), objects_first=True))


def test_refusals(model, processor, pascal, monkeypatch):
    with pytest.raises(ConfigurationError, match="'ov_parts' does not define scores for pred_all"):
        evaluate_model(model, processor, pascal, setting="pred_all", progress=False)
    monkeypatch.setattr(type(model), "requires_object_masks", True)
    with pytest.raises(ConfigurationError, match="only for an object whose mask it is told"):
        evaluate_model(model, processor, pascal, setting="pred_all", metrics="strict", progress=False)
