import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import ImageOps

from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.prediction import predict_records
from ovparts_hf.evaluation.whole_images import predict_images
from ovparts_hf.inference.engine import SHORT_EDGES, TestTimeAugmentation, takes_any_size
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.models.processing import ClosedVocabularyProcessor
from ovparts_hf.taxonomy.tasks import get_task

from ..evaluation.test_whole_images import maskformer
from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor
from .test_crf import Field

TTA = TestTimeAugmentation(tta=True)


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0].eval()


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


@torch.no_grad()
def probabilities(model, processor, image, names, size):
    logits = model(**processor(images=[image], classes=names), include_none=False).logits
    return F.interpolate(logits, size=size, mode="bilinear")[0].sigmoid()


def test_the_mirrored_image_is_averaged(model, processor, pascal):
    taxonomy = pascal.taxonomy
    changed = 0
    records = pascal.evaluation_records(get_task("zero_shot"))[:5]
    plain = list(predict_records(model, processor, pascal, records))
    for prediction, before in zip(predict_records(model, processor, pascal, records, test_time=TTA), plain):
        sample = prediction.sample
        parts = taxonomy.parts_of(prediction.record.object_id)
        names = [taxonomy.part_classes[i] for i in parts]
        size = sample.part_map.shape
        mirrored = probabilities(model, processor, ImageOps.mirror(sample.image), names, size).flip(-1)
        mean = (probabilities(model, processor, sample.image, names, size) + mirrored) / 2
        assert (prediction.label_map == np.array(parts)[mean.argmax(0)]).mean() > 0.999
        changed += (prediction.label_map != before.label_map).any()
    assert changed


def test_answers_to_a_mirrored_image_are_mirrored(model, processor, pascal, monkeypatch):
    record = pascal.evaluation_records(get_task("zero_shot"))[0]
    [found] = predict_images(model, processor, pascal, [record], test_time=TTA)
    original = pascal.read(record)
    original.image = ImageOps.mirror(original.image)
    monkeypatch.setattr(pascal, "read", lambda _: original)
    [mirrored] = predict_images(model, processor, pascal, [record], test_time=TTA)
    assert (found.label_map == mirrored.label_map[:, ::-1]).mean() > 0.99


def test_sizes_and_masks_of_models_that_take_any_size(pascal):
    processor = ClosedVocabularyProcessor(MaskClassificationImageProcessor())
    sample = pascal.read(pascal.evaluation_records(get_task("zero_shot"))[0])
    mask = (sample.object_map != pascal.taxonomy.ignore_index)[None]
    views = TTA.views(processor, sample.image, mask)
    assert takes_any_size(processor)
    assert [min(view.inputs["pixel_values"].shape[-2:]) for view in views[::2]] == list(SHORT_EDGES)
    assert [view.flipped for view in views] == [False, True] * len(SHORT_EDGES)
    for plain, flipped in zip(views[::2], views[1::2]):
        assert plain.inputs["object_masks"].shape[-2:] == plain.inputs["pixel_values"].shape[-2:]
        difference = plain.inputs["object_masks"] != flipped.inputs["object_masks"].flip(-1)
        assert difference.float().mean() < 0.05  # nearest neighbour is not symmetric
        torch.testing.assert_close(
            plain.inputs["pixel_values"], flipped.inputs["pixel_values"].flip(-1), atol=0.1, rtol=0
        )


def test_any_size_model_end_to_end(pascal, monkeypatch):
    monkeypatch.setattr("ovparts_hf.inference.engine.SHORT_EDGES", (32, 48))
    model, processor = maskformer(pascal.taxonomy.part_classes)
    result = evaluate_model(model, processor, pascal, test_time=TTA, max_images=1, progress=False)
    assert result.config["tta"] == "scales and flip"
    assert result.timings["seconds"] > 0


@pytest.mark.parametrize(("setting", "metrics"), [("oracle_obj", "ov_parts"), ("pred_all", "partclipseg")])
def test_the_result_says_what_was_on(model, processor, pascal, setting, metrics, monkeypatch):
    module = ModuleType("pydensecrf.densecrf")
    module.DenseCRF2D = Field
    monkeypatch.setitem(sys.modules, "pydensecrf", ModuleType("pydensecrf"))
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", module)
    options = dict(setting=setting, metrics=metrics, max_images=1, progress=False)
    off = evaluate_model(model, processor, pascal, **options)
    on = evaluate_model(model, processor, pascal, test_time=TestTimeAugmentation(True, True), **options)
    assert (off.config["tta"], off.config["crf"]) == ("off", False)
    assert (on.config["tta"], on.config["crf"]) == ("flip", True)
    assert on.metrics["IoU"] != off.metrics["IoU"]
