import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    DetrConfig,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    MaskFormerImageProcessor,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
)

from ovparts_hf.data.part_dataset import PartSample
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.evaluator import evaluate_model
from ovparts_hf.evaluation.objects import FolderObjects, ModelObjects, SegmenterObjects, get_objects, read_names
from ovparts_hf.evaluation.prediction import predict_records
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.taxonomy.tasks import get_task

from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor

WORDS = PartTaxonomy.from_dict({"cat": ["ear"], "dog": ["ear", "leg"]})


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0].eval()


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


@pytest.fixture(params=["pascal", "ade"])
def dataset(request):
    return request.getfixturevalue(request.param)


def sample(width=4, height=3, image_id="a"):
    return PartSample(Image.new("RGB", (width, height)), *np.full((2, height, width), 255), image_id)


def segment(label, columns, score=None, size=(3, 4)):
    mask = np.zeros(size, dtype=np.uint8)
    mask[:, columns] = 255
    return {"label": label, "score": score, "mask": Image.fromarray(mask)}


class Given:
    """Finds exactly the objects that the dataset holds, or some other class, or nothing."""

    def __init__(self, dataset, change=lambda object_map: object_map):
        self.dataset, self.change = dataset, change
        self.maps = {}
        for record in dataset.evaluation_records(get_task("zero_shot")):
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
    records = pascal.evaluation_records(get_task("zero_shot"))
    source, missed = Given(pascal, change), 0
    for prediction in predict_records(model, processor, pascal, records, objects=source):
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
    records = dataset.evaluation_records(get_task("zero_shot"))[:6]
    objects = Given(dataset)
    for prediction in predict_records(model, processor, dataset, records, objects=objects):
        mask = objects.maps[prediction.sample.image_id] == prediction.record.object_id
        np.testing.assert_array_equal(prediction.label_map != -1, mask)
        np.testing.assert_array_equal(prediction.sample.part_map, dataset.read(prediction.record).part_map)


def test_a_model_that_takes_masks_is_told_those_that_were_found(pascal):
    model, processor = load_model("toy-zsseg")
    told, forward = [], model.forward
    model.forward = lambda *args, **inputs: told.append(inputs["object_masks"]) or forward(*args, **inputs)

    def upper_half(found):
        found[len(found) // 2 :] = -1
        return found

    records = pascal.evaluation_records(get_task("zero_shot"))[:2]
    for change in (upper_half, lambda found: np.full_like(found, -1)):
        told.clear()
        predictions = list(predict_records(model, processor, pascal, records, objects=Given(pascal, change)))
        masks = torch.cat(told)
        height = masks.shape[-2]
        assert not masks[:, -(-height * 5 // 9) :].any()
        assert masks.any() == any((prediction.label_map != -1).any() for prediction in predictions)


def test_segments_are_painted_by_score():
    segments = [segment("dog", [1, 2], 0.9), segment("Cat, kitten", [0, 1], 0.5), segment("sky", [0, 1, 2, 3], 0.99)]
    source = SegmenterObjects(lambda image: segments, ["sky", "dog", "Cat, kitten"], WORDS)
    np.testing.assert_array_equal(source.find(sample()), [[0, 1, 1, -1]] * 3)
    semantic = SegmenterObjects(lambda image: [segment("hound", [3])], ["hound"], WORDS, {"hound": "dog"})
    np.testing.assert_array_equal(semantic.find(sample()), [[-1, -1, -1, 1]] * 3)
    nothing = SegmenterObjects(lambda image: [], ["dog"], WORDS)
    assert (nothing.find(sample()) == -1).all()


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (["sky"], None, "0 are"),
        (["hound"], {"hund": "dog"}, r"\['hund'\] are none of its classes"),
        (["hound"], {"hound": "horse"}, r"\['horse'\] no objects"),
    ],
)
def test_names_must_fit(labels, names, message):
    with pytest.raises(ConfigurationError, match=message):
        SegmenterObjects(lambda image: [], labels, WORDS, names)


@torch.no_grad()
def test_the_model_is_asked_for_whole_objects(model, processor, pascal):
    names = pascal.taxonomy.object_classes
    image = pascal.read(pascal.evaluation_records(get_task("zero_shot"))[0])
    outputs = model(**processor(images=[image.image], classes=names), include_none=True)
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    best = F.interpolate(logits, size=image.part_map.shape, mode="bilinear")[0].sigmoid().argmax(0).numpy()
    found = get_objects("model", model, processor, pascal).find(image)
    assert (found == np.where(best == len(names), -1, best)).mean() > 0.999
    result = evaluate(model, processor, pascal, ModelObjects(model, processor, pascal.taxonomy))
    assert result.config["objects"] == "the same model"


def test_a_model_without_none_cannot_find_objects(model, processor, pascal, monkeypatch):
    monkeypatch.setattr(type(model), "scores_none", False)
    with pytest.raises(ConfigurationError, match="has no score of 'none'"):
        ModelObjects(model, processor, pascal.taxonomy)


def test_folder_of_object_maps(model, processor, pascal, tmp_path):
    given = Given(pascal)
    for image_id, found in given.maps.items():
        Image.fromarray(np.where(found == -1, 255, found).astype(np.uint8)).save(tmp_path / f"{image_id}.png")
    source = get_objects(str(tmp_path), model, processor, pascal)
    assert isinstance(source, FolderObjects)
    result = evaluate(model, processor, pascal, source)
    np.testing.assert_equal(result.metrics, evaluate(model, processor, pascal, given).metrics)
    assert result.config["objects"] == str(tmp_path)


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
        FolderObjects(tmp_path / "nowhere", WORDS)
    source = FolderObjects(tmp_path, WORDS)
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
    with pytest.raises(ConfigurationError, match="neither a folder of object maps nor a segmentation model"):
        get_objects("no/such-model", model, processor, pascal)


def test_names_are_read_from_json(tmp_path):
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"hound": "dog"}))
    assert read_names(path) == {"hound": "dog"}
    path.write_text("[1]")
    with pytest.raises(ConfigurationError, match="is not a JSON object"):
        read_names(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_names(tmp_path / "nowhere.json")


def save_semantic(folder, labels):
    size = dict(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8)
    config = SegformerConfig(id2label=labels, label2id={name: i for i, name in labels.items()}, **size)
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    SegformerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def save_universal(folder, labels):
    backbone = dict(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2, image_size=64)
    decoder = dict(d_model=8, decoder_layers=1, encoder_layers=1, decoder_attention_heads=1, encoder_attention_heads=1)
    config = MaskFormerConfig(
        fpn_feature_size=32,
        mask_feature_size=32,
        backbone_config=SwinConfig(**backbone, out_features=["stage1", "stage2", "stage3", "stage4"]),
        decoder_config=DetrConfig(**decoder, encoder_ffn_dim=8, decoder_ffn_dim=8, num_queries=5),
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )
    MaskFormerForInstanceSegmentation(config).save_pretrained(folder)
    MaskFormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


@pytest.mark.parametrize("save", [save_semantic, save_universal])
def test_models_of_transformers_find_objects(save, model, processor, pascal, tmp_path):
    torch.manual_seed(0)
    save(tmp_path, {0: "dog", 1: "automobile"})
    source = get_objects(str(tmp_path), model, processor, pascal, {"automobile": "car", "dog": "dog"})
    assert isinstance(source, SegmenterObjects) and str(source) == str(tmp_path)
    image = pascal.read(pascal.evaluation_records(get_task("zero_shot"))[0])
    found = source.find(image)
    assert found.shape == image.part_map.shape
    wanted = {pascal.taxonomy.object_classes.index(name) for name in ("car", "dog")}
    assert set(np.unique(found)) <= wanted | {-1}
    if save is save_semantic:
        assert set(np.unique(found)) & wanted


def test_an_error_without_message_is_named(monkeypatch) -> None:
    def fail(*_args, **_options):
        raise OSError

    monkeypatch.setattr("ovparts_hf.evaluation.objects.pipeline", fail)
    with pytest.raises(ConfigurationError, match="nowhere.*OSError"):
        SegmenterObjects.load("nowhere", WORDS)
