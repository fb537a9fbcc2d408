"""The web page without a browser: what it computes, and what it lets in."""

import asyncio
import json
import runpy
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import RepoCard
from PIL import Image

from ovparts_hf import PartSegmentation, PartSegmenter
from ovparts_hf.app import Limits, build_app, check_gradio, work
from ovparts_hf.app.examples import drawings
from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.inference.advice import is_toy
from ovparts_hf.inference.visualization import hex_colors
from ovparts_hf.taxonomy.vocabulary import Vocabulary, parse_parts
from ovparts_hf.utils.deadline import time_limit

from ..lower_bounds import lower_bounds

SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    drawings()[0].image.save(path)
    return path


@pytest.fixture
def result():
    labels = np.full((6, 8), -1, dtype=np.int16)
    labels[:2], labels[4:, :4] = 0, 2
    scores = np.array([0.75, 0, 0.5], dtype=np.float32)
    return PartSegmentation(Image.new("RGB", (8, 6)), labels, ("dog's head", "dog's ear", f"dog's {SCRIPT}"), scores)


def test_parts_are_found(segmenter, image):
    result = work.find_parts(segmenter, image, "dog: head, leg\n")
    assert result.image.size == Image.open(image).size
    assert result.found == ("dog's head", "dog's leg")
    assert (result.label_map == -1).mean() > 0.5


def test_settings_are_passed_on(segmenter, image):
    everything = work.find_parts(segmenter, image, "dog: head, leg", empty_background=False)
    assert (everything.label_map >= 0).all()
    assert work.find_parts(segmenter, image, "dog: head, leg", threshold=1.0).found == ()
    assert len(work.find_parts(segmenter, image, "dog: head, leg, tail", top_k=1.0).found) == 1
    same = work.find_parts(segmenter, image, "dog: head, leg", True, 0, 0)
    assert np.array_equal(same.label_map, work.find_parts(segmenter, image, "dog: head, leg").label_map)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No parts are named"),
        ("", "No parts are named"),
        ("dog:", "does not name an object and its parts"),
        ("dog: head\ndog: ear", "named twice"),
        ("dog: " + "x" * 4000, "at most 4,000"),
        ("dog: " + ", ".join(f"p{i}" for i in range(129)), "129 parts are named; at most 128"),
        ("dog: " + "very " * 60 + "long tail", "Shorten it"),
    ],
)
def test_bad_texts_get_a_message(text, message, segmenter, image):
    with pytest.raises(OVPartsError, match=message):
        work.find_parts(segmenter, image, text)


def test_bad_images_get_a_message_that_names_no_path(segmenter, tmp_path, image):
    broken, animated, svg = tmp_path / "broken.png", tmp_path / "animated.gif", tmp_path / "drawing.svg"
    broken.write_bytes(image.read_bytes()[:2000])
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "green", "blue")]
    frames[0].save(animated, save_all=True, append_images=frames[1:])
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    small = Limits(pixels=1000)
    for path, limits, message in [
        (None, Limits(), "no image yet"),
        (broken, Limits(), "The file is not a whole image"),
        (animated, Limits(), "The file has several frames"),
        (svg, Limits(), "read as an image"),
        (image, small, "allowed are 1 to 1,000"),
        (tmp_path / "gone.png", Limits(), "The file does not exist"),
    ]:
        with pytest.raises(OVPartsError, match=message) as caught:
            work.find_parts(segmenter, path, "dog: head", limits=limits)
        assert str(tmp_path) not in str(caught.value)


def test_pixels_times_parts_are_bounded_before_anything_is_decoded(segmenter, tmp_path, monkeypatch):
    path, parts = tmp_path / "small_file.png", ", ".join(f"part{i}" for i in range(128))
    Image.new("1", (8192, 8192)).save(path)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(Image.Image, "load", None)
    message = (
        "8192 x 8192 pixels with 128 parts make 8,589,934,592 scores; at most 1,073,741,824 are allowed. "
        "Name fewer parts, or give an image of at most 8,388,608 pixels"
    )
    with pytest.raises(OVPartsError, match=message):
        work.find_parts(segmenter, path, f"dog: {parts}")


def test_what_is_just_within_the_bounds_is_done(segmenter, image):
    width, height = Image.open(image).size
    within = Limits(pixels=width * height, side=max(width, height), parts=2, scores=2 * width * height)
    result = work.find_parts(segmenter, image, "dog: head, leg", limits=within)
    assert np.array_equal(result.label_map, segmenter(image, "dog: head, leg").label_map)
    for name, value in vars(within).items():
        if name in ("pixels", "side", "parts", "scores"):
            with pytest.raises(OVPartsError, match="allowed|no side may"):
                work.find_parts(segmenter, image, "dog: head, leg", limits=replace(within, **{name: value - 1}))


def test_the_sides_are_bounded_too(segmenter, tmp_path):
    path = tmp_path / "line.png"
    Image.new("1", (2**20, 1)).save(path)
    with pytest.raises(OVPartsError, match="has 1048576 x 1 pixels; no side may have more than 16,384"):
        work.find_parts(segmenter, path, "dog: head")


def test_an_address_is_not_fetched(segmenter):
    with pytest.raises(OVPartsError, match="does not exist"):
        work.find_parts(segmenter, "http://127.0.0.1:9/image.png", "dog: head")


def test_files_hold_the_result(result, tmp_path):
    work.write_files(result, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*work.DOWNLOADS.values()}
    label_map = np.asarray(Image.open(tmp_path / "label_map.png"))
    assert np.array_equal(label_map, np.where(result.label_map < 0, 255, result.label_map))
    details = json.loads((tmp_path / "parts.json").read_text())
    assert details["classes"][0] == result.to_json()["classes"][0]
    assert Image.open(tmp_path / "overlay.png").size == result.overlay().size
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert archive.namelist() == ["001_dog_head.png", "002_dog_img_src_x_onerror_alert_1.png"]
        with archive.open("001_dog_head.png") as file:
            assert np.array_equal(np.asarray(Image.open(file)), result.mask("dog's head"))


def test_writing_files_stops_in_time(result, tmp_path):
    with pytest.raises(OVPartsError, match="was stopped"), time_limit(1e-6):
        work.write_files(result, tmp_path)


def test_nobody_can_name_a_path_in_the_archive(tmp_path):
    labels = np.zeros((2, 2), dtype=np.int16)
    result = PartSegmentation(Image.new("RGB", (2, 2)), labels, ("../../etc's \N{SNOWMAN}/..",), np.ones(1, np.float32))
    work.write_files(result, tmp_path)
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert archive.namelist() == ["001_etc.png"]


def test_the_table_escapes_what_was_typed(result):
    page = work.table({"model": result})
    assert "<img" not in page
    assert "dog&#39;s &lt;img src=x onerror=alert(1)&gt;" in page
    assert page.count("not found") == 1
    assert "<td>0.75</td><td>16</td><td>33.3 %</td>" in page
    tiny = np.full((100, 100), -1, dtype=np.int16)
    tiny[0, 0] = 0
    page = work.table({"model": replace(result, label_map=tiny)})
    assert "<td>1</td><td>&lt; 0.1 %</td>" in page


def test_switches_have_the_colors_of_the_overlay(result):
    first, _, third = hex_colors(result.classes)
    page = work.table({"model": result})
    assert f"label:nth-of-type(1) {{ --part: {first}; }}" in page
    assert f"label:nth-of-type(2) {{ --part: {third}; }}" in page
    assert first == result.to_json()["classes"][0]["color"]


def test_parts_of_two_models_are_in_two_tables(result):
    other = replace(result, label_map=np.ones_like(result.label_map))
    page = work.table({"first": result, "<b>second</b>": other})
    assert page.count("<table") == 2
    assert "&lt;b&gt;second&lt;/b&gt;. Press a part" in page
    assert work.found_by_any([result, other]) == list(result.classes)
    assert f"label:nth-of-type(2) {{ --part: {hex_colors(result.classes)[1]}; }}" in page


def test_parts_are_found_inside_boxes_alone(segmenter, image):
    marked = work.find_parts(segmenter, image, "dog: head, leg", boxes="dog: 200, 0, 400, 300\n0, 0, 10, 10")
    ys, xs = np.nonzero(marked.label_map >= 0)
    assert len(xs) and xs.min() >= 200 and xs.max() < 400 and ys.max() < 300
    expected = segmenter(Image.open(image), "dog: head, leg", boxes={"dog": [(200, 0, 400, 300), (0, 0, 10, 10)]})
    assert np.array_equal(marked.label_map, expected.label_map)


def test_boxes_count_as_parts_do(segmenter, image):
    width, height = Image.open(image).size
    box = f"dog: 0, 0, {width}, {height}"
    within = Limits(scores=6 * width * height)  # two boxes with a mask and scores of two parts each
    work.find_parts(segmenter, image, "dog: head, leg", boxes=f"{box}\n{box}", limits=within)
    with pytest.raises(OVPartsError, match="with 9 parts make"):
        work.find_parts(segmenter, image, "dog: head, leg", boxes=f"{box}\n{box}\n{box}", limits=within)


def test_examples_name_the_parts_of_what_they_show(segmenter):
    for example in drawings():
        parts = parse_parts(example.text)
        assert ", ".join(Vocabulary.of(parts).objects) == example.name
        assert segmenter(example.image, parts).found


def test_photographs_go_through(segmenter, tmp_path):
    data = pytest.importorskip("skimage").data
    for name in ("chelsea", "coffee", "rocket"):
        path = tmp_path / f"{name}.png"
        Image.fromarray(getattr(data, name)()).save(path)
        result = work.find_parts(segmenter, path, "cat: head, ear\ncup: handle\nrocket: body", empty_background=False)
        assert result.label_map.shape == getattr(data, name)().shape[:2]


# ---- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(segmenter):
    pytest.importorskip("gradio", reason="the web page needs gradio")
    return build_app(segmenter, Limits(waiting=5, seconds=100), concurrency=2)


def test_the_page_offers_its_endpoints_alone_and_reports_nothing(page):
    public = [event.name for event in page.fns.values() if event.api_visibility != "private"]
    assert public == ["find_parts", "list_models"]
    assert page.get_api_info()["named_endpoints"].keys() == {"/find_parts", "/list_models"}
    assert page.analytics_enabled is False


def test_no_address_is_fetched_for_a_visitor(page):
    assert page.fns
    for event in page.fns.values():
        for file in ({"path": "http://127.0.0.1:9/a.png"}, {"path": "https://a", "meta": {"_type": "gradio.FileData"}}):
            with pytest.raises(Exception, match="Addresses are not fetched"):
                asyncio.run(page.preprocess_data(event, [[{"image": file}]], None))


def test_what_is_said_and_offered_depends_on_the_model(segmenter, tmp_path):
    pytest.importorskip("gradio", reason="the web page needs gradio")
    segmenter.model.save_pretrained(tmp_path)
    segmenter.processor.save_pretrained(tmp_path)
    other = PartSegmenter.from_pretrained(tmp_path, device="cpu")
    other.model.config.class_names = ["zebra's hoof"]
    page = build_app({"toy": segmenter, "other": other})
    [change] = [event.fn for event in page.fns.values() if event.name == "change"]
    note, panel, words, items = change("other")
    assert not note.visible and panel.visible and "**zebra**: hoof" in words
    assert [item["name"] for item in items[:3]] == ["cat", "cup", "astronaut"]
    note, panel, words, items = change("toy")
    assert note.visible and "toy" in note.value and "**bird**" in words
    assert [item["name"] for item in items] == [example.name for example in drawings()]


def test_each_model_has_a_name(segmenter):
    pytest.importorskip("gradio", reason="the web page needs gradio")
    for segmenters in ({}, {"": segmenter}):
        with pytest.raises(ConfigurationError, match="at least one model, and each a name"):
            build_app(segmenters)


def test_queue_and_files_are_bounded(page, segmenter):
    assert page._queue.max_size == 5
    assert page._queue.default_concurrency_limit == 2
    with pytest.raises(ConfigurationError, match="concurrency is 0"):
        build_app(segmenter, concurrency=0)
    assert page.delete_cache == (100, 100)


def test_the_page_says_what_the_toy_knows(page):
    texts = [block.value for block in page.blocks.values() if type(block).__name__ == "Markdown"]
    assert any("toy" in text and "(bench, castle, duck, horse, truck)" in text for text in texts)
    assert any("**bird**: head, beak, torso, wing, tail" in text for text in texts)


def test_other_models_are_not_called_toys(tmp_path, segmenter):
    segmenter.model.save_pretrained(tmp_path)
    segmenter.processor.save_pretrained(tmp_path)
    assert is_toy(segmenter.model)
    assert not is_toy(PartSegmenter.from_pretrained(tmp_path, device="cpu").model)


def test_without_gradio_it_says_what_to_install(segmenter, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("ovparts_hf.app.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r'pip install "ovparts_hf\[demo\]"'):
        build_app(segmenter)
    assert main(["demo", "--app"]) == 1
    assert "ovparts_hf[demo]" in capsys.readouterr().err


def test_the_oldest_gradio_is_that_of_the_requirements(segmenter, monkeypatch):
    [oldest] = (bound.removeprefix("gradio==") for bound in lower_bounds("demo") if bound.startswith("gradio"))
    monkeypatch.setattr("ovparts_hf.app.find_spec", lambda name: name)
    monkeypatch.setattr("ovparts_hf.app.version", lambda name: oldest)
    check_gradio()
    monkeypatch.setattr("ovparts_hf.app.version", lambda name: "6.26.4")
    with pytest.raises(ConfigurationError, match=rf"gradio {oldest} or newer; installed is 6\.26\.4"):
        build_app(segmenter)


def test_nothing_can_be_overridden_where_nothing_is_trained(capsys):
    assert main(["demo", "--app", "steps=3"]) == 1
    assert "Nothing is trained with --app" in capsys.readouterr().err


def test_the_space_loads_its_models_when_it_starts(monkeypatch):
    loaded = []
    monkeypatch.setattr(PartSegmenter, "from_pretrained", lambda *args, **options: loaded.append((args, options)))
    monkeypatch.setenv("OVPARTS_MODEL", "a/b c")
    app = str(Path(__file__).parents[2] / "examples" / "space" / "app.py")
    assert runpy.run_path(app)["segmenters"].keys() == {"a/b", "c"}
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    runpy.run_path(app)
    devices = [None, None, "cuda", "cuda"]
    assert loaded == [((name,), {"device": device}) for name, device in zip(["a/b", "c"] * 2, devices, strict=True)]


def test_the_space_is_described_as_hugging_face_wants_it():
    folder = Path(__file__).parents[2] / "examples" / "space"
    card = RepoCard.load(folder / "README.md", repo_type="space").data.to_dict()
    assert card.keys() >= {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "license"}
    assert card["sdk"] == "gradio" and int(card["sdk_version"].split(".")[0]) >= 6
    assert len(card["short_description"]) <= 60
    assert card["python_version"] == "3.12.12"  # which ZeroGPU runs
    compile((folder / card["app_file"]).read_text(), card["app_file"], "exec")
    assert "ovparts_hf[demo]" in (folder / "requirements.txt").read_text()
