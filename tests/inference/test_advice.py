"""The toy model says once that it knows no photographs."""

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.inference.advice import PHOTOGRAPH_ADVICE
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.toy.world import draw


@pytest.fixture
def photograph():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))


def test_it_is_one_sentence_that_names_a_model():
    assert PHOTOGRAPH_ADVICE.count(". ") == 0 and PHOTOGRAPH_ADVICE.endswith("CIDAS/clipseg-rd64-refined.")


def test_in_python_once(photograph, caplog):
    segmenter = PartSegmenter.from_pretrained()
    segmenter(draw("validation", 8).image, "dog: head")
    assert not caplog.records
    segmenter([photograph, photograph], "dog: head")
    segmenter(photograph, "dog: head")
    assert caplog.messages == [PHOTOGRAPH_ADVICE]


def test_in_a_shell_once(photograph, tmp_path, capsys, caplog):
    for name in ("a.png", "b.png"):
        photograph.save(tmp_path / name)
    assert main(["predict", str(tmp_path), "--parts", "dog: head", "--out", str(tmp_path / "out")]) == 0
    assert caplog.messages.count(PHOTOGRAPH_ADVICE) == 1


def test_other_models_say_nothing(photograph, tmp_path, caplog):
    toy = PartSegmenter.from_pretrained()
    toy.model.save_pretrained(tmp_path)
    toy.processor.save_pretrained(tmp_path)
    PartSegmenter.from_pretrained(tmp_path)(photograph, "dog: head")
    assert not caplog.records
