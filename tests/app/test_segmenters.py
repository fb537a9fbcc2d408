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


@pytest.mark.parametrize("kind", sorted(SAVERS))
def test_photographs_go_through_every_kind(kind, tmp_path, monkeypatch):
    from ovparts_hf.app.events import _answer

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    (tmp_path / "served").mkdir()
    (tmp_path / "model").mkdir()
    torch.manual_seed(0)
    segmenter = PartSegmenter.from_pretrained(SAVERS[kind](tmp_path / "model"), "cpu")
    build_app(segmenter)
    assert [example.name for example in examples_for(segmenter)[:3]] == list(PHOTOGRAPHS)
    for name in PHOTOGRAPHS:
        path = FOLDER / f"{name}.jpg"
        values = [path, "dog: head, ear", True, 0, 0, "dog: 10, 20, 200, 250", "tiny", "", -1]
        view, _, _, value, *_ = _answer({"tiny": segmenter}, values, Limits())
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
