import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ovparts_hf.data.part_dataset import PartSample
from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.objects import FolderObjects, SegmentedObjects, get_objects, read_names
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy import PartTaxonomy

from ..inference.test_objects import save_semantic, save_universal
from .conftest import predict, zero_shot_records

TAXONOMY = PartTaxonomy.from_dict({"cat": ["ear"], "dog": ["ear", "leg"]})


def sample(width=4, height=3, image_id="a"):
    return PartSample(Image.new("RGB", (width, height)), *np.full((2, height, width), 255), image_id)


class Given:
    """Finds exactly the objects that the dataset holds, or some other class, or nothing."""

    def __init__(self, dataset, change=lambda object_map: object_map):
        self.dataset, self.change = dataset, change
        self.maps = {}
        for record in zero_shot_records(dataset):
            each = dataset.read(record)
            found = self.maps.setdefault(each.image_id, np.full(each.part_map.shape, -1))
            inside = each.object_map != dataset.taxonomy.ignore_index
            found[inside] = each.object_map[inside]

    def __str__(self):
        return "given"

    def find(self, sample):
        return self.change(self.maps[sample.image_id].copy())


def evaluate(model, processor, dataset, objects, **options):
    options = {"compat": None, "progress": False, "max_images": 4, **options}
    return evaluate_model(model, processor, dataset, setting="pred_obj", objects=objects, **options)


def test_the_true_objects_give_the_numbers_of_oracle_obj(model, processor, pascal):
    oracle = evaluate_model(model, processor, pascal, compat=None, progress=False, max_images=4)
    found = evaluate(model, processor, pascal, Given(pascal))
    np.testing.assert_equal(found.metrics, oracle.metrics)
    assert found.setting == "pred_obj" and found.config["objects"] == "given"
    assert oracle.config["objects"] == "given"


@pytest.mark.parametrize("change", [lambda m: np.full_like(m, -1), lambda m: np.where(m == -1, -1, (m + 1) % 20)])
@pytest.mark.parametrize("metrics", ["ov_parts", "partclipseg", "strict"])
def test_nothing_found_and_wrong_classes_are_misses(model, processor, pascal, metrics, change):
    records = zero_shot_records(pascal)
    source, missed = Given(pascal, change), 0
    for prediction in predict(model, processor, pascal, records, setting="pred_obj", objects=source):
        if not (source.find(prediction.sample) == prediction.record.object_id).any():
            missed += 1
            assert (prediction.label_map == -1).all()
    assert missed > 1
    result = evaluate(model, processor, pascal, Given(pascal, lambda m: np.full_like(m, -1)), metrics=metrics)
    assert result.metrics.get("strict", result.metrics)["mIoU"] == 0


def test_half_a_mask_costs_in_strict_and_instances_share_it(model, processor, dataset):
    def upper_half(found):
        found[len(found) // 2 :] = -1
        return found

    whole, half = (evaluate(model, processor, dataset, each) for each in (Given(dataset), Given(dataset, upper_half)))
    assert half.metrics["strict"]["pixel_accuracy"] < whole.metrics["strict"]["pixel_accuracy"]
    records = zero_shot_records(dataset)[:6]
    objects = Given(dataset)
    for prediction in predict(model, processor, dataset, records, setting="pred_obj", objects=objects):
        mask = objects.maps[prediction.sample.image_id] == prediction.record.object_id
        np.testing.assert_array_equal(prediction.label_map != -1, mask)
        np.testing.assert_array_equal(prediction.sample.part_map, dataset.read(prediction.record).part_map)


def test_a_model_that_requires_masks_gets_those_that_were_found(pascal):
    model, processor = load_model("toy-zsseg")
    received, forward = [], model.forward
    model.forward = lambda *args, **inputs: received.append(inputs["object_masks"]) or forward(*args, **inputs)

    def upper_half(found):
        found[len(found) // 2 :] = -1
        return found

    records = zero_shot_records(pascal)[:2]
    for change in (upper_half, lambda found: np.full_like(found, -1)):
        received.clear()
        objects = Given(pascal, change)
        predictions = predict(model, processor, pascal, records, setting="pred_obj", objects=objects)
        masks = torch.cat(received)
        height = masks.shape[-2]
        assert not masks[:, -(-height * 5 // 9) :].any()
        assert masks.any() == any((prediction.label_map != -1).any() for prediction in predictions)


@torch.no_grad()
def test_the_same_model_finds_whole_objects(model, processor, pascal):
    names = pascal.taxonomy.object_classes
    image = pascal.read(zero_shot_records(pascal)[0])
    outputs = model(**processor(images=[image.image], classes=names), include_none=True)
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    best = F.interpolate(logits, size=image.part_map.shape, mode="bilinear")[0].sigmoid().argmax(0).numpy()
    found = get_objects("model", model, processor, pascal).find(image)
    assert (found == np.where(best == len(names), -1, best)).mean() > 0.999
    result = evaluate(model, processor, pascal, get_objects("model", model, processor, pascal))
    assert result.config["objects"] == "the same model"


def test_a_model_without_none_cannot_find_objects(model, processor, pascal, monkeypatch):
    monkeypatch.setattr(type(model), "scores_none", False)
    with pytest.raises(ConfigurationError, match="has no score of 'none'"):
        get_objects("model", model, processor, pascal)


def test_folder_of_object_maps(model, processor, pascal, tmp_path):
    given = Given(pascal)
    for image_id, found in given.maps.items():
        Image.fromarray(np.where(found == -1, 255, found).astype(np.uint8)).save(tmp_path / f"{image_id}.png")
    source = get_objects(str(tmp_path), model, processor, pascal)
    assert isinstance(source, FolderObjects)
    result = evaluate(model, processor, pascal, source)
    np.testing.assert_equal(result.metrics, evaluate(model, processor, pascal, given).metrics)
    assert result.config["objects"] == tmp_path.name


def test_column_of_object_maps(model, processor, pascal):
    """The dataset's own object maps tell the model what it is told when objects are given."""
    source = get_objects("column:object_map", model, processor, pascal)
    given = Given(pascal)
    np.testing.assert_equal(
        evaluate(model, processor, pascal, source).metrics, evaluate(model, processor, pascal, given).metrics
    )
    with pytest.raises(ConfigurationError, match=r"no column 'parts' of images; it has \['image', 'object_map'"):
        get_objects("column:parts", model, processor, pascal)


def test_wrong_object_maps_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a folder"):
        FolderObjects(tmp_path / "nowhere", TAXONOMY)
    source = FolderObjects(tmp_path, TAXONOMY)
    with pytest.raises(ConfigurationError, match=r"a\.png cannot be read"):
        source.find(sample())
    for array in (np.zeros((2, 2), np.uint8), np.full((3, 4), 9, np.uint8)):
        Image.fromarray(array).save(tmp_path / "a.png")
        with pytest.raises(ConfigurationError, match="it must have the image's size"):
            source.find(sample())


def test_setting_and_source_belong_together(model, processor, pascal):
    with pytest.raises(ConfigurationError, match="'pred_obj' needs a source"):
        evaluate_model(model, processor, pascal, setting="pred_obj")
    with pytest.raises(ConfigurationError, match="no other setting does"):
        evaluate_model(model, processor, pascal, objects=Given(pascal))
    with pytest.raises(ConfigurationError, match="'no/such-model' is not a model that finds objects"):
        get_objects("no/such-model", model, processor, pascal)


def test_a_segmenter_finds_a_map_of_objects():
    masks = np.zeros((2, 3, 4), dtype=bool)
    masks[0, :, :3], masks[1, :, 2:] = True, True
    source = SegmentedObjects(lambda image, vocabulary: list(zip(("cat", "dog"), masks)), TAXONOMY)
    np.testing.assert_array_equal(source.find(sample()), [[0, 0, 1, 1]] * 3)
    nothing = SegmentedObjects(lambda image, vocabulary: [], TAXONOMY)
    assert (nothing.find(sample()) == -1).all()
    for returned, message in ((None, "must return a list"), ([("cow", masks[0])], "no part of 'cow'")):
        with pytest.raises(OVPartsError, match=message):
            SegmentedObjects(lambda image, vocabulary, returned=returned: returned, TAXONOMY).find(sample())


def test_names_that_do_not_fit_are_noticed_before_work_starts(model, processor, pascal, tmp_path):
    save_semantic(tmp_path, {0: "dog", 1: "automobile"})
    with pytest.raises(ConfigurationError, match=r"\['horsecar'\] no objects"):
        get_objects(str(tmp_path), model, processor, pascal, {"dog": "horsecar"})


def test_names_are_read_from_json(tmp_path):
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"hound": "dog"}))
    assert read_names(path) == {"hound": "dog"}
    path.write_text("[1]")
    with pytest.raises(ConfigurationError, match="is not a JSON object"):
        read_names(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_names(tmp_path / "nowhere.json")


@pytest.mark.parametrize("save", [save_semantic, save_universal])
def test_models_of_transformers_find_objects(save, model, processor, pascal, tmp_path):
    torch.manual_seed(0)
    save(tmp_path, {0: "dog", 1: "automobile"})
    source = get_objects(str(tmp_path), model, processor, pascal, {"automobile": "car", "dog": "dog"})
    assert isinstance(source, SegmentedObjects) and str(source) == str(tmp_path)
    image = pascal.read(zero_shot_records(pascal)[0])
    found = source.find(image)
    assert found.shape == image.part_map.shape
    expected = {pascal.taxonomy.object_classes.index(name) for name in ("car", "dog")}
    assert set(np.unique(found)) <= expected | {-1}
    if save is save_semantic:
        assert set(np.unique(found)) & expected
