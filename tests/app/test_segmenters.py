"""Photographs on the page, with segmenters of transformers and with a model that needs its objects marked."""

from importlib import resources

import pytest
import torch
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.app import Limits, build_app, work
from ovparts_hf.app.examples import PHOTOGRAPHS, examples_for
from ovparts_hf.errors import OVPartsError

from ..inference.adapters.tiny import SAVERS
from .conftest import needs_gradio

pytestmark = needs_gradio
FOLDER = resources.files("ovparts_hf.app") / "photographs"

KINDS = sorted(SAVERS)
QUESTIONS = [*((kind, "cat") for kind in KINDS), *((KINDS[0], name) for name in PHOTOGRAPHS if name != "cat")]
"""Each kind has a photograph; one has all. That kinds take images of any size is tested with the adapters."""


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory):
    """A tiny random one of each kind."""
    torch.manual_seed(0)
    folders = {kind: SAVERS[kind](tmp_path_factory.mktemp("model")) for kind in KINDS}
    return {kind: PartSegmenter.from_pretrained(folder, "cpu") for kind, folder in folders.items()}


@pytest.fixture(autouse=True)
def served(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    (tmp_path / "served").mkdir()


def test_a_page_takes_every_kind(segmenters):
    build_app(segmenters)
    for segmenter in segmenters.values():
        assert [example.name for example in examples_for(segmenter)[:3]] == list(PHOTOGRAPHS)


@pytest.mark.parametrize(("kind", "name"), QUESTIONS)
def test_photographs_go_through_every_kind(kind, name, segmenters):
    from ovparts_hf.app.events import _answer

    path = FOLDER / f"{name}.jpg"
    values = [path, "dog: head, ear", True, 0, 0, "dog: 10, 20, 200, 250", "tiny", "", -1]
    view, _, _, value, *_ = _answer({"tiny": segmenters[kind]}, values, Limits())
    assert view.results[0].image.size == Image.open(path).size
    assert Image.open(value["painted"][0]["path"]).size == Image.open(path).size


def test_a_model_that_needs_its_objects_is_given_boxes():
    segmenter, path = PartSegmenter.from_pretrained("toy-zsseg", "cpu"), FOLDER / "cat.jpg"
    with pytest.raises(OVPartsError, match="requires the mask of each object"):
        work.find_parts(segmenter, path, "cat: head, ear")
    result = work.find_parts(segmenter, path, "cat: head, ear", boxes="cat: 100, 50, 300, 250")
    label, *others = result.at(150, 100)
    assert label[0] in result.found and [name for name, _ in others] == [
        name for name in ("cat's head", "cat's ear") if name != label[0]
    ]
    assert result.at(10, 10) == [(None, -1)]
