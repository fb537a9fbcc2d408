"""transformers' pipelines over saved models of every family; the toy models need not be right on photographs."""

from __future__ import annotations

import functools

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForSemanticSegmentation, AutoProcessor, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from ovparts_hf import PartSegmenter
from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.models.auto import FAMILIES, model_class
from ovparts_hf.models.loading import load_model

NAMES = ["cat's ear", "cat's head", "bus's wheel"]
PLAIN_ZSSEG = {"object_mask_prompt": False, "prompt_lengths": None}
TASKS = ["image-segmentation", "part-segmentation"]


def save(folder, family):
    """A toy model with a vocabulary of its own, and beside it one without."""
    torch.manual_seed(0)
    name = "toy" if family == "clipseg" else f"toy-{family}"
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}
    settings = {"zsseg": PLAIN_ZSSEG, "zsseg+": {}, "maskformer": labels}.get(family, {})
    model, processor = load_model(name.removesuffix("+"), for_training=True, **settings)
    if family == "zsseg":
        processor.prompt_lengths, processor.templates = None, ["a photo of a {}."]
    for each in (model, processor):
        each.save_pretrained(folder / "without")
    model.store_vocabulary(processor, NAMES, progress=False)
    for each in (model, processor):
        each.save_pretrained(folder / "with")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: save(tmp_path_factory.mktemp(family), family) for family in [*FAMILIES, "zsseg+"]}


@pytest.fixture(scope="module")
def pipes(folders):
    """The pipeline of a task with the model of a family that has a vocabulary; not to be changed."""
    return functools.cache(lambda task, family: pipeline(task, model=str(folders[family] / "with"), device="cpu"))


@pytest.fixture(scope="module", params=["chelsea", "coffee", "rocket"])
def photograph(request):
    skimage = pytest.importorskip("skimage.data")
    return Image.fromarray(getattr(skimage, request.param)())


@pytest.fixture(scope="module")
def drawn():
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((90, 70), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_classes_read_every_family(family, folders):
    folder, expected = folders[family] / "with", model_class(family)
    assert {path.name for path in folder.iterdir()} >= {"ovparts_auto.py", "config.json", "processor_config.json"}
    assert type(AutoModel.from_pretrained(folder)) is expected
    assert type(AutoModelForSemanticSegmentation.from_pretrained(folder)) is expected
    assert type(AutoProcessor.from_pretrained(folder)) is expected.processor_class
    assert type(AutoImageProcessor.from_pretrained(folder)) is expected.image_processor_class


@pytest.mark.parametrize("family", FAMILIES)
def test_both_tasks_agree_on_a_photograph(family, pipes, photograph, monkeypatch):
    by_task = {task: pipes(task, family) for task in TASKS}
    parts = by_task["part-segmentation"]
    if parts.model.finds_objects_first:  # which "image-segmentation" does not
        monkeypatch.setattr(parts, "segmenter", PartSegmenter(parts.model, parts.processor, None))
    found = {task: {each["label"]: each for each in pipe(photograph)} for task, pipe in by_task.items()}
    labels = set(found["image-segmentation"]) - {"none"}
    assert labels == set(found["part-segmentation"]) <= set(NAMES)
    for name in labels:
        masks = [found[task][name]["mask"] for task in TASKS]
        assert {(mask.mode, mask.size) for mask in masks} == {("L", photograph.size)}
        assert np.array_equal(*masks) and set(np.unique(masks[0])) <= {0, 255}
        assert 0 <= found["part-segmentation"][name]["score"] <= 1
    covered = sum(np.asarray(each["mask"]) > 0 for each in found["image-segmentation"].values())
    assert (covered == 1).all()
    assert ("none" in found["image-segmentation"]) <= by_task["image-segmentation"].model.scores_none


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_batches_give_what_single_images_give(family, task, pipes, drawn):
    pipe = pipes(task, family)
    images = [drawn, drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT), drawn]
    alone = [pipe(image) for image in images]
    for batch, one in zip(pipe(images, batch_size=2), alone, strict=True):
        assert [each["label"] for each in batch] == [each["label"] for each in one]
        for each, expected in zip(batch, one):
            assert (np.asarray(each["mask"]) == np.asarray(expected["mask"])).mean() > 0.999


@pytest.mark.parametrize("task", TASKS)
def test_a_model_without_a_vocabulary_needs_class_names(task, folders, drawn):
    pipe = pipeline(task, model=str(folders["catseg"] / "without"), device="cpu")
    with pytest.raises(OVPartsError, match="no vocabulary of its own"):
        pipe(drawn)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_requires_object_masks_says_so(task, folders, drawn):
    folder = folders["zsseg+"] / "with"
    pipe = pipeline(task, model=str(folder), device="cpu")
    with pytest.raises(OVPartsError, match="object_masks"):
        pipe(drawn)
    if task == "part-segmentation":
        mask = np.zeros((70, 90), dtype=bool)
        mask[20:50, 10:60] = True
        first, second = pipe([drawn, drawn], object_masks=[{"cat": mask}, {"bus": mask}], batch_size=2)
        assert {each["label"] for each in first} <= {"cat's ear", "cat's head"}
        assert sum(np.asarray(each["mask"]) > 0 for each in first).astype(bool).sum() == mask.sum()
        assert [each["label"] for each in second] == ["bus's wheel"]
        assert np.array_equal(np.asarray(second[0]["mask"]) > 0, mask)
        with pytest.raises(ConfigurationError, match="a list of 2 object_masks"):
            pipe([drawn, drawn], object_masks={"cat": mask})


def test_options_are_those_of_the_segmenter(folders, drawn):
    folder = folders["catseg"] / "without"
    parts = {"dog": ["head", "tail", "leg"]}
    segmenter = PartSegmenter.from_pretrained(folder, "cpu")
    pipe = pipeline("part-segmentation", model=str(folder), device="cpu", parts=parts)
    for options in ({}, {"threshold": 0.4}, {"top_k": 1}, {"background": False}, {"boxes": [10, 10, 50, 40]}):
        expected = segmenter(drawn, parts, **options)
        found = {each["label"]: each for each in pipe(drawn, **options)}
        assert found.keys() == expected.masks().keys()
        for name, mask in expected.masks().items():
            assert np.array_equal(np.asarray(found[name]["mask"]) > 0, mask)
            assert found[name]["score"] == expected.scores[expected.classes.index(name)]
    assert {each["label"] for each in pipe(drawn, parts="cat: ear", background=False)} == {"cat's ear"}
    with pytest.raises(ConfigurationError, match=r"no options \['masks'\]"):
        pipe(drawn, masks=1)


def test_takes_datasets_generators_files_and_instances(folders, drawn, tmp_path):
    model, processor = load_model(folders["catseg"] / "with")
    pipe = pipeline("part-segmentation", model=model, processor=processor, device="cpu")
    drawn.save(tmp_path / "drawn.png")
    expected = [each["label"] for each in pipe(drawn)]
    rows = Dataset.from_dict({"image": [str(tmp_path / "drawn.png")] * 2})
    arrays, tensor = (np.asarray(drawn) for _ in range(2)), torch.from_numpy(np.array(drawn)).permute(2, 0, 1)
    for inputs in (KeyDataset(rows, "image"), arrays, [tensor] * 2, [tmp_path / "drawn.png"] * 2):
        assert [[each["label"] for each in one] for one in pipe(inputs)] == [expected] * 2


def test_a_saved_pipeline_is_a_model_folder(folders, drawn, tmp_path):
    pipe = pipeline("part-segmentation", model=str(folders["clipseg"] / "with"), device="cpu")
    pipe.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (folders["clipseg"] / "with").iterdir()}
    again = pipeline("part-segmentation", model=str(tmp_path), device="cpu")
    assert [each["score"] for each in again(drawn)] == [each["score"] for each in pipe(drawn)]


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_works(family, folders, drawn, monkeypatch):
    complaints = []  # such as that a model does not fit its task
    monkeypatch.setattr("transformers.pipelines.base.logger.error", complaints.append)
    for task in TASKS:
        pipe = pipeline(task, model=str(folders[family] / "with"), device="cpu", dtype=torch.bfloat16)
        assert pipe.model.dtype == torch.bfloat16
        assert {each["label"] for each in pipe(drawn)} <= {*NAMES, "none"}
    assert complaints == []


def test_a_closed_vocabulary_takes_some_of_its_classes(folders, drawn):
    pipe = pipeline("part-segmentation", model=str(folders["maskformer"] / "with"), device="cpu")
    assert pipe.model.vocabulary == NAMES
    assert {each["label"] for each in pipe(drawn, parts=NAMES[2:])} == {"bus's wheel"}
    with pytest.raises(ConfigurationError, match="closed vocabulary of 3 classes"):
        pipe(drawn, parts=["dog's ear"])


def test_columns_tuples_and_nothing(folders, drawn, tmp_path):
    drawn.save(tmp_path / "drawn.png")
    pipe = pipeline("part-segmentation", model=str(folders["clipseg"] / "with"), device="cpu")
    table = Dataset.from_dict({"image": [str(tmp_path / "drawn.png")] * 3}).cast_column("image", datasets.Image())
    column = table["image"]
    expected = [each["label"] for each in pipe(drawn)]
    for images in (column, (drawn, drawn, drawn)):
        assert [[each["label"] for each in found] for found in pipe(images, batch_size=2)] == [expected] * 3
    assert pipe([]) == []


def test_a_mapping_without_an_image_is_refused(folders, drawn):
    pipe = pipeline("part-segmentation", model=str(folders["clipseg"] / "with"), device="cpu")
    with pytest.raises(ConfigurationError, match=r"needs the key 'image'; this one has \['photo'\]"):
        pipe({"photo": drawn})
