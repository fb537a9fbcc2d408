"""What the browser is given of an answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.app.examples import drawings

from .conftest import needs_gradio

pytestmark = needs_gradio


def view_of(results, folder):
    from ovparts_hf.app.viewer import View

    return View.of(results, folder)


@pytest.fixture(scope="module")
def result():
    example = drawings()[0]
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")(example.image, example.text, keep_ranking=True)


def test_the_browser_can_read_what_is_at_a_pixel(result, tmp_path):
    value = view_of({"model": result}, tmp_path).value
    assert value["names"] == list(result.classes)
    [answer] = value["answers"]
    assert answer["model"] == ""
    pixels = np.asarray(Image.open(answer["ranking"]["path"])).astype(int)
    height, width = result.ranking.ids.shape[1:]
    assert pixels.shape == (4 * height, width, 3)
    for x, y in [(0, 0), (width // 2, height // 2), (width - 1, height - 1)]:
        expected = result.ranking.at((x + 0.5) / width, (y + 0.5) / height)
        for rank, (class_id, score) in enumerate(expected):
            high, low, percent = pixels[rank * height + y, x]
            assert 256 * high + low == (65535 if class_id < 0 else class_id)
            assert percent == (255 if score < 0 else round(100 * score))


def test_parts_are_painted_and_named_as_is_asked(result, tmp_path):
    view = view_of({"model": result}, tmp_path)
    names = {label["name"] for label in view.value["labels"][0]}
    assert names == set(result.found)
    for label in view.value["labels"][0]:
        row, column = int(label["y"] * result.image.height), int(label["x"] * result.image.width)
        assert result.classes[result.label_map[row, column]] == label["name"]
    (tmp_path / "again").mkdir()
    part = result.found[0]
    again = view.painted([part], tmp_path / "again")
    assert {label["name"] for label in again.value["labels"][0]} == {part}
    assert again.value["plain"] == view.value["plain"]
    [painted] = again.value["painted"]
    assert np.array_equal(Image.open(painted["path"]), result.overlay(legend=False, only=[part]))


def test_two_regions_have_two_names(result, tmp_path):
    labels = np.full_like(result.label_map, -1)
    labels[10:90, 10:90] = labels[10:90, 200:290] = labels[200, 200] = 0
    view = view_of({"model": replace(result, label_map=labels)}, tmp_path)
    height, width = labels.shape
    assert [(round(label["x"] * width), round(label["y"] * height)) for label in view.value["labels"][0]] == [
        (pytest.approx(50, abs=2), pytest.approx(50, abs=2)),
        (pytest.approx(245, abs=7), pytest.approx(50, abs=7)),
    ]


def test_two_models_are_side_by_side(result, tmp_path):
    other = replace(result, label_map=np.full_like(result.label_map, -1))
    view = view_of({"first": result, "second": other}, tmp_path)
    assert [answer["model"] for answer in view.value["answers"]] == ["first", "second"]
    assert np.array_equal(Image.open(view.value["painted"][1]["path"]), other.image)
    assert view.value["labels"][1] == []
    assert all(Path(answer["ranking"]["path"]).parent == tmp_path for answer in view.value["answers"])
    assert all(kept.ranking is None for kept in view.results) and len(view.results) == 2
