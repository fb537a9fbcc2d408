"""Parts of objects that a function or another model finds."""

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.inference.objects import ObjectMask
from ovparts_hf.inference.segmenter import PartSegmenter

from .conftest import BENCH, MODELS, square
from .test_objects import save_semantic


def test_objects_can_be_found_by_any_function(models, image):
    mask = square(image)
    object_segmenter = lambda image, vocabulary: [ObjectMask(name, mask) for name in vocabulary.objects]  # noqa: E731
    for name in ("clipseg", "zsseg+"):
        result = PartSegmenter(*models(name), object_segmenter=object_segmenter)(image, BENCH)
        assert ((result.label_map >= 0) == mask).all()
    nothing = PartSegmenter(*models("zsseg+"), object_segmenter=lambda image, vocabulary: [])(image, BENCH)
    assert (nothing.label_map == -1).all()


def test_a_function_may_return_masks_in_several_forms(models, image):
    mask = square(image)
    for form in ([("bench", mask.astype(np.uint8))], [("bench", Image.fromarray(mask))], {"bench": np.stack([mask])}):
        result = PartSegmenter(*models("clipseg"), lambda image, vocabulary, form=form: form)(image, BENCH)
        assert ((result.label_map >= 0) == mask).all()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (None, "must return a list of .name, mask.; this one returned NoneType"),
        (["bench"], "must return a list of .name, mask.; this one returned list"),
        ([("duck", np.ones((120, 160)))], "no part of 'duck'"),
        ([("bench", np.ones((4, 160)))], r"The mask of 'bench' has shape \(4, 160\)"),
    ],
)
def test_what_a_function_returns_is_checked(form, message, models, image):
    with pytest.raises(OVPartsError, match=message):
        PartSegmenter(*models("clipseg"), object_segmenter=lambda image, vocabulary: form)(image, BENCH)


def test_a_segmenter_can_find_the_objects_of_another(models, image):
    object_segmenter = PartSegmenter(*models("clipseg"))
    result = PartSegmenter(*models("zsseg+"), object_segmenter=object_segmenter)(image, BENCH)
    assert ((result.label_map >= 0) == (object_segmenter(image, ["bench"]).label_map == 0)).all()


@pytest.mark.parametrize("background", [None, False])
@pytest.mark.parametrize("name", MODELS)
def test_where_no_object_is_found_there_is_no_part(name, background, models, image):
    segmenter = PartSegmenter(*models(name), object_segmenter=lambda image, vocabulary: [])
    assert (segmenter(image, BENCH, background=background).label_map == -1).all()


def test_objects_are_found_by_a_model_of_this_library(image):
    segmenter = PartSegmenter.from_pretrained("toy-zsseg", object_segmenter="toy-trained")
    found = segmenter.object_segmenter.segmenter(image, ["bench"])
    assert (found.label_map == 0).any()
    result = segmenter(image, BENCH)
    assert ((result.label_map >= 0) == (found.label_map == 0)).all()
    free_text = PartSegmenter.from_pretrained("toy", object_segmenter="toy")
    with pytest.raises(ConfigurationError, match="free text has none"):
        free_text(image, ["seat"])


def test_objects_are_found_by_a_model_of_transformers(image, tmp_path):
    torch.manual_seed(0)
    save_semantic(tmp_path, {0: "Bench, settle", 1: "wall"})
    segmenter = PartSegmenter.from_pretrained("toy-zsseg", object_segmenter=tmp_path)
    found = segmenter.object_segmenter.segmenter(image)
    expected = np.zeros((image.height, image.width), dtype=bool)
    for each in found:
        if each["label"] == "Bench, settle":
            expected |= np.asarray(each["mask"]) > 0
    assert expected.any()
    assert ((segmenter(image, BENCH).label_map >= 0) == expected).all()


def test_object_segmenters_that_cannot_do_it_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a model that finds objects"):
        PartSegmenter.from_pretrained("toy-zsseg", object_segmenter=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="cannot segment whole images"):
        PartSegmenter.from_pretrained("toy", object_segmenter="toy-zsseg")
