"""Real photographs, in Python and on the command line; the toy model knows drawings only, so any answer will do."""

import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.inference.segmenter import PartSegmenter

skimage_data = pytest.importorskip("skimage.data", reason="needs scikit-image's photographs")

PHOTOGRAPHS = {
    "chelsea": "cat: head, ear, eye, nose",
    "coffee": "cup: handle, body",
    "rocket": "rocket: nose, body, fin",
}


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_in_python(name, segmenter):
    photograph = getattr(skimage_data, name)()
    result = segmenter(photograph, PHOTOGRAPHS[name])
    assert result.label_map.shape == photograph.shape[:2]
    assert sum(result.areas().values()) + (result.label_map == -1).sum() == result.label_map.size
    assert result.overlay(legend=False).size == photograph.shape[1::-1]


def test_on_the_command_line(tmp_path, segmenter):
    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage_data, name)()).save(tmp_path / f"{name}.jpg", quality=95)
    words = "; ".join(PHOTOGRAPHS.values())
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path), "--parts", words, "--out", str(out), "--overlay", "--json"]) == 0
    for name in PHOTOGRAPHS:
        expected = segmenter(tmp_path / f"{name}.jpg", words)
        assert (np.asarray(Image.open(out / name / "label_map.png")) == np.asarray(expected.label_image())).all()
        assert json.loads((out / name / "parts.json").read_text()) == expected.to_json()
