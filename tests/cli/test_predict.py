"""`ovparts predict`, with the toy model in the package."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.cli import main, predict
from ovparts_hf.inference.instances import GROUPINGS
from ovparts_hf.inference.interchange.formats import FORMATS
from ovparts_hf.inference.segmenter import PartSegmenter

from ..inference.clips import write_clip

PARTS = ["--parts", "bench: seat, back"]
ALONE = [*PARTS, "--no-overlay"]  # label maps only


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_becomes_a_folder_of_results(photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(photos), *PARTS, "--out", str(out), "--overlay", "--json"]) == 0
    kinds = ["label_map.png", "overlay.png", "parts.json"]
    assert written(out) == [f"{name}/{kind}" for name in ("first", "sub/second") for kind in kinds]
    expected = PartSegmenter.from_pretrained()(photos / "first.png", "bench: seat, back")
    assert (np.asarray(Image.open(out / "first" / "label_map.png")) == np.asarray(expected.label_image())).all()
    assert json.loads((out / "first" / "parts.json").read_text()) == expected.to_json()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out / 'first'}: bench's ") and lines[1].startswith(f"{out / 'sub' / 'second'}: ")
    assert lines[2].split() == ["part", "images", "mean", "area", "mean", "score"] and "of 2" in lines[3]


def test_the_overlay_is_written_unless_it_is_declined(photos, tmp_path):
    for options, kinds in (
        ([], ["label_map.png", "overlay.png"]),
        (["--overlay"], ["label_map.png", "overlay.png"]),
        (["--no-overlay"], ["label_map.png"]),
    ):
        assert main(["predict", str(photos / "first.png"), *PARTS, "--out", str(tmp_path / "out"), *options]) == 0
        assert written(tmp_path / "out") == [f"first/{kind}" for kind in kinds]


def test_names_are_written_on_the_overlay_if_they_are_wanted(photos, tmp_path):
    overlays = []
    for options in ([], ["--labels"]):
        assert main(["predict", str(photos / "first.png"), *PARTS, "--out", str(tmp_path / "out"), *options]) == 0
        overlays.append((tmp_path / "out" / "first" / "overlay.png").read_bytes())
    assert overlays[0] != overlays[1]


@pytest.mark.parametrize("error", [IndexError, RuntimeError, TypeError, MemoryError])
def test_what_an_image_plugin_raises_does_not_stop_the_others(error, photos, tmp_path, capsys, monkeypatch):
    def fail(image):
        raise error("in a plugin")

    Image.new("RGB", (8, 8)).save(photos / "broken.bmp")
    monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", fail)
    assert main(["predict", str(photos), *ALONE, "--out", str(tmp_path / "out")]) == 1
    assert written(tmp_path / "out") == ["first/label_map.png", "sub/second/label_map.png"]
    assert f"broken.bmp cannot be read: {error.__name__}: in a plugin" in capsys.readouterr().err


def test_failed_images_do_not_stop_the_others(photos, tmp_path, capsys):
    (photos / "broken.png").write_text("no image")
    out = tmp_path / "out"
    assert main(["predict", str(photos / "*.png"), str(photos / "gone.jpg"), *ALONE, "--out", str(out)]) == 1
    assert written(out) == ["first/label_map.png"]
    errors = capsys.readouterr().err
    assert "broken.png is in no format" in errors
    assert "gone.jpg does not exist" in errors
    assert "2 of 3 images failed" in errors


def test_what_was_done_before_can_be_skipped(photos, tmp_path):
    out = tmp_path / "out"
    command = ["predict", str(photos), *ALONE, "--out", str(out), "--skip-existing"]
    assert main(command) == 0
    (photos / "first.png").write_text("no image any more")
    (out / "sub" / "second" / "label_map.png").unlink()
    assert main(command) == 0
    assert written(out) == ["first/label_map.png", "sub/second/label_map.png"]
    assert main([*command, "--json"]) == 1  # the JSON file is missing, so it is looked at again


def test_parts_may_be_in_a_file(photos, tmp_path):
    forms = [{"bench": ["seat", "back"]}, ["bench's seat", "bench\u2019s back"], [{"bench": ["seat"]}, "bench's back"]]
    paths = [tmp_path / f"parts-{number}.json" for number in range(len(forms))]
    for path, form in zip(paths, forms):
        path.write_text("\ufeff" + json.dumps(form))
    for number, parts in enumerate([*map(str, paths), "bench: seat, back"]):
        command = ["predict", str(photos / "first.png"), "--parts", parts, "--json"]
        assert main([*command, "--out", str(tmp_path / str(number))]) == 0
    assert len({(tmp_path / f"{number}/first/parts.json").read_text() for number in range(4)}) == 1


def test_parts_that_are_named_in_several_places_all_count(photos, tmp_path):
    (tmp_path / "parts.json").write_text(json.dumps({"bench": ["back"]}))
    named = ["--parts", "bench: seat", "--parts", str(tmp_path / "parts.json"), "--parts", "a red door"]
    assert main(["predict", str(photos / "first.png"), *named, "--json", "--out", str(tmp_path / "out")]) == 0
    details = json.loads((tmp_path / "out" / "first" / "parts.json").read_text())
    assert [each["name"] for each in details["classes"]] == ["bench's seat", "bench's back", "a red door"]


@pytest.mark.parametrize("content", ["3", "[]", "[3]", '[{"bench": 3}]', "[null]", '[["bench"]]'])
def test_a_file_of_parts_that_holds_none(content, photos, tmp_path, capsys):
    path = tmp_path / "parts.json"
    path.write_text(content)
    assert main(["predict", str(photos), "--parts", str(path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ['{"bench": {"seat": 1}}', '[{"bench": 3}]', "{}"])
def test_a_file_with_wrong_parts_is_named(content, photos, tmp_path, capsys):
    path = tmp_path / "parts.json"
    path.write_text(content)
    assert main(["predict", str(photos), "--parts", str(path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(f"ovparts: {path}: ")


def test_the_details_name_the_file_of_the_image(photos, tmp_path):
    assert main(["predict", str(photos), *ALONE, "--json", "--out", str(tmp_path / "out")]) == 0
    for name, expected in (("first", "first.png"), ("sub/second", "second.jpg")):
        details = json.loads((tmp_path / "out" / name / "parts.json").read_text())
        assert [image["file_name"] for image in details["images"]] == [expected]


def test_text_in_utf_16_is_named(photos, tmp_path, capsys):
    path = tmp_path / "parts.json"
    path.write_text('{"bench": ["seat"]}', encoding="utf-16")
    assert main(["predict", str(photos), "--parts", str(path), "--out", str(tmp_path / "out")]) == 1
    assert "it is text in UTF-16: save it as UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "bench:"], "'bench:' does not name an object and its parts"),
        (["--parts", "gone.json"], "gone.json cannot be read"),
        (["--parts", "bench: seat", "--threshold", "3"], "threshold is 3.0; it must lie between 0 and 1"),
        (["--parts", "bench:", "--model", "no/such-model"], "'bench:' does not name an object and its parts"),
        (["--parts", "bench: seat", "--top-k", "0"], "top_k is 0; it must be at least 1"),
        (["--parts", "bench: seat", "--device", "banana"], "The device 'banana' cannot be used here"),
        (["--parts", "bench: seat", "--model", "no/such-model"], "no/such-model"),
        (["--parts", "bench: seat", "--objects", "no/such-model"], "is not a model that finds objects"),
    ],
)
def test_what_is_wrong_for_all_images_is_said_once(options, message, photos, tmp_path, capsys):
    assert main(["predict", str(photos), "--out", str(tmp_path / "out"), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "message"), [("empty", "There is no image in"), ("*.gif", "Nothing matches")])
def test_names_that_stand_for_no_image_are_refused(name, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["predict", str(tmp_path / name), *PARTS]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("place", ["taken", "taken/below"])
def test_a_place_that_cannot_be_written_is_said_once_and_first(place, photos, tmp_path, capsys, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setattr(PartSegmenter, "__call__", lambda *args, **kwargs: pytest.fail("worked in vain"))
    assert main(["predict", str(photos), *PARTS, "--out", str(tmp_path / place)]) == 1
    error = capsys.readouterr().err
    assert "Nothing can be written to" in error and "Name another place" in error
    assert (tmp_path / "taken").read_text() == "a file"


def test_of_folders_only_what_can_be_opened_counts(photos, tmp_path):
    for name in ("notes.pdf", "movie.mpg", "drawing.eps", "data.h5"):
        (photos / name).write_bytes(b"none")
    assert main(["predict", str(photos), *PARTS, "--out", str(tmp_path / "out")]) == 0


def test_names_that_are_too_long_for_a_file(photos, tmp_path, capsys):
    names = ["long" * 2000, str(photos / "first.png")]
    assert main(["predict", *names, *ALONE, "--out", str(tmp_path / "out")]) == 1
    assert "1 of 2 images failed" in capsys.readouterr().err
    assert written(tmp_path / "out") == ["first/label_map.png"]


def test_names_that_a_terminal_cannot_show(photos, tmp_path, monkeypatch):
    (photos / "first.png").rename(photos / "\udcff 犬.png")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["predict", str(photos), *ALONE, "--out", str(tmp_path / "out")]) == 0
    terminal.flush()
    assert b"out/\\udcff \\u72ac: bench's " in terminal.buffer.getvalue()
    assert len(written(tmp_path / "out")) == 2


def test_thresholds_and_top_k_count(photos, tmp_path):
    for options in ([], ["--threshold", "1"], ["--top-k", "1"]):
        out = tmp_path / "-".join(["out", *options])
        assert main(["predict", str(photos / "first.png"), *ALONE, "--out", str(out), *options]) == 0
    found = {path.parent.parent.name: set(np.unique(Image.open(path))) for path in tmp_path.glob("out*/first/*.png")}
    assert found["out"] == {0, 1, 255}
    assert found["out---threshold-1"] == {255}
    assert found["out---top-k-1"] in ({0, 255}, {1, 255})


def test_a_place_that_is_taken_does_not_stop_the_others(photos, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "first").write_text("a file")
    assert main(["predict", str(photos), *ALONE, "--out", str(out)]) == 1
    assert "1 of 2 images failed" in capsys.readouterr().err
    assert written(out) == ["first", "sub/second/label_map.png"]


def test_one_file_of_coco_for_a_run(photos, tmp_path):
    out = tmp_path / "out"
    assert main(["predict", str(photos), *ALONE, "--out", str(out), "--format", "coco"]) == 0
    data = json.loads((out / "coco.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["first.png", "sub/second.jpg"]
    assert [annotation["id"] for annotation in data["annotations"]] == list(range(1, len(data["annotations"]) + 1))
    found = [[each["segmentation"] for each in data["annotations"] if each["image_id"] == image] for image in (1, 2)]
    segmenter = PartSegmenter.from_pretrained()
    for name, masks in zip(("first.png", "sub/second.jpg"), found):
        result = segmenter(photos / name, "bench: seat, back")
        assert masks == [each["segmentation"] for each in result.to_coco()] != []


def test_what_makes_an_annotation_can_be_chosen(photos, tmp_path):
    counts = {}
    for options in ([], ["--instances", "class"], ["--min-area", "100000"]):
        command = ["predict", str(photos / "first.png"), *ALONE, "--format", "coco", "--out", str(tmp_path / "out")]
        assert main([*command, *options]) == 0
        counts[tuple(options)] = len(json.loads((tmp_path / "out" / "coco.json").read_text())["annotations"])
    assert counts[()] > counts["--instances", "class"] == 2 > counts["--min-area", "100000"] == 0


@pytest.mark.parametrize(
    ("name", "files"),
    [("cvat", {"cvat.xml", "cvat_labels.json"}), ("labelstudio", {"labelstudio.json", "labelstudio_interface.xml"})],
)
def test_files_of_labelling_tools_lie_beside_the_results(name, files, photos, tmp_path):
    (photos / "broken.png").write_text("no image")
    out = tmp_path / "out"
    assert main(["predict", str(photos), *ALONE, "--out", str(out), "--format", name]) == 1
    assert {path.name for path in out.iterdir() if path.is_file()} == files
    text = "".join((out / file).read_text() for file in files)
    assert "first.png" in text and "sub/second.jpg" in text and "broken" not in text and str(photos) not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "coco", "--skip-existing"], "would lack the images that --skip-existing skips"),
        (["--format", "coco", "--min-area", "0"], "min_area is 0; it must be at least 1"),
        (["clip.mp4", "--format", "coco"], "--format is for images, and clip.mp4 is a video"),
    ],
)
def test_options_that_do_not_go_together_are_refused_first(options, message, photos, tmp_path, capsys):
    assert main(["predict", str(photos), *options, *PARTS, "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_options_are_those_of_the_library():
    assert set(predict._FORMATS) == set(FORMATS) and set(predict._GROUPINGS) == set(GROUPINGS)


@pytest.fixture
def clip(tmp_path, photos):
    pytest.importorskip("av")
    return write_clip(tmp_path / "clip.mp4", [Image.open(photos / "first.png")] * 3)


def test_a_video_becomes_label_maps_and_an_overlay(clip, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(clip), str(photos / "first.png"), *PARTS, "--json", "--out", str(out)]) == 0
    maps = [f"label_maps/{number:06d}.png" for number in range(3)]
    assert written(out / "clip") == [*maps, "overlay.mp4", "parts.jsonl"]
    said = capsys.readouterr().out
    assert f"{out / 'clip'}: 3 frames" in said and "of 4" in said
    lines = [json.loads(line) for line in (out / "clip" / "parts.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2] and lines[0]["classes"][0]["name"] == "bench's seat"
    assert main(["predict", str(clip), *ALONE, "--out", str(out)]) == 0
    assert written(out / "clip") == maps


def test_videos_that_exist_are_skipped_and_broken_ones_named(clip, tmp_path, capsys):
    command = ["predict", str(clip), *PARTS, "--skip-existing", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    clip.write_bytes(b"no video any more")
    assert main(command) == 0
    (tmp_path / "out" / "clip" / "overlay.mp4").unlink()
    assert main(command) == 1
    assert "clip.mp4 is not a whole video" in capsys.readouterr().err
    assert not (tmp_path / "out" / "clip" / "overlay.mp4").exists()


def test_videos_need_an_extra(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ovparts_hf.inference.video.find_spec", lambda name: None)
    assert main(["predict", str(clip), *PARTS, "--out", str(tmp_path / "out")]) == 1
    assert 'pip install "ovparts_hf[video]"' in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_who_finds_the_objects_can_be_chosen(photos, tmp_path):
    """A stock CLIPSeg does so by default; parts that are looked for everywhere are found elsewhere, too."""
    image, parts = photos / "first.png", "castle: wall; duck: head"
    for objects, chosen in ((None, "auto"), ("model", "model"), ("none", None)):
        out = tmp_path / str(objects)
        command = ["predict", str(image), "--parts", parts, "--model", "toy", "--out", str(out)]
        assert main([*command, *(["--objects", objects] if objects else [])]) == 0
        expected = PartSegmenter.from_pretrained("toy", object_segmenter=chosen)(image, parts)
        written_map = np.asarray(Image.open(out / "first" / "label_map.png"))
        assert (written_map == np.asarray(expected.label_image())).all()
