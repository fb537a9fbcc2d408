"""`ovparts predict`, with the toy model in the package."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.cli.predict import find_images, result_folders
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.toy.world import draw

PARTS = ["--parts", "bench: seat, back"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    draw("validation", 8).image.save(folder / "first.png")
    draw("validation", 3).image.save(folder / "sub" / "second.jpg")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    return folder


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
    assert len(lines) == 2 and lines[0].startswith(f"{out / 'first'}: bench's ")


def test_only_the_label_map_is_written_unless_more_is_asked_for(photos, tmp_path):
    out = tmp_path / "out"
    assert main(["predict", str(photos / "first.png"), *PARTS, "--out", str(out)]) == 0
    assert written(out) == ["first/label_map.png"]


@pytest.mark.parametrize("error", [IndexError, RuntimeError, TypeError, MemoryError])
def test_what_an_image_plugin_raises_does_not_stop_the_others(error, photos, tmp_path, capsys, monkeypatch):
    def fail(image):
        raise error("in a plugin")

    Image.new("RGB", (8, 8)).save(photos / "broken.bmp")
    monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", fail)
    assert main(["predict", str(photos), *PARTS, "--out", str(tmp_path / "out")]) == 1
    assert written(tmp_path / "out") == ["first/label_map.png", "sub/second/label_map.png"]
    assert f"broken.bmp cannot be read: {error.__name__}: in a plugin" in capsys.readouterr().err


def test_failed_images_do_not_stop_the_others(photos, tmp_path, capsys):
    (photos / "broken.png").write_text("no image")
    out = tmp_path / "out"
    assert main(["predict", str(photos / "*.png"), str(photos / "gone.jpg"), *PARTS, "--out", str(out)]) == 1
    assert written(out) == ["first/label_map.png"]
    errors = capsys.readouterr().err
    assert "broken.png is in no format" in errors
    assert "gone.jpg does not exist" in errors
    assert "2 of 3 images failed" in errors


def test_what_was_done_before_can_be_skipped(photos, tmp_path):
    out = tmp_path / "out"
    command = ["predict", str(photos), *PARTS, "--out", str(out), "--skip-existing"]
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


@pytest.mark.parametrize("content", ["3", "[]", "[3]", '[{"bench": 3}]', "[null]", '[["bench"]]'])
def test_a_file_of_parts_that_holds_none(content, photos, tmp_path, capsys):
    path = tmp_path / "parts.json"
    path.write_text(content)
    assert main(["predict", str(photos), "--parts", str(path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


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


def test_every_image_gets_a_place_of_its_own(photos, tmp_path):
    (photos / "first.jpg").touch()
    (photos / "sub" / "first.png").touch()
    found = find_images(
        [str(photos), str(photos / "sub" / "first.png"), "http://host/a%20b.png?size=2"], tmp_path / "x"
    )
    targets = result_folders(list(found), tmp_path / "out")
    assert {str(path.relative_to(tmp_path / "out")) for path in targets.values()} == {
        "first.jpg",
        "first.png",
        "sub/second",
        "sub/first",
        "a b",
    }
    twice = [("one/a.png", photos / "a.png"), ("two/a.png", photos / "a.png")]
    assert len(set(result_folders(twice, tmp_path).values())) == 2


def test_earlier_results_are_no_images(photos):
    (photos / "out" / "first").mkdir(parents=True)
    (photos / "out" / "first" / "overlay.png").touch()
    names = [str(name) for _, name in find_images([str(photos)], photos / "out")]
    assert names == ["first.png", "sub/second.jpg"]


def test_brackets_in_a_name_are_no_pattern(tmp_path):
    path = tmp_path / "photo[1].png"
    path.touch()
    assert [source for source, _ in find_images([str(path)], tmp_path / "out")] == [str(path)]


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
    assert main(["predict", *names, *PARTS, "--out", str(tmp_path / "out")]) == 1
    assert "1 of 2 images failed" in capsys.readouterr().err
    assert written(tmp_path / "out") == ["first/label_map.png"]


@pytest.mark.parametrize("path", ["", "/", "/a/..", "/a/%2e%2e", "/..%2f.."])
def test_results_of_urls_stay_below_the_folder(path, tmp_path):
    [(_, name)] = find_images([f"http://host{path}"], tmp_path)
    assert name.parts and name.parts[0] not in ("..", "/")


def test_names_that_a_terminal_cannot_show(photos, tmp_path, monkeypatch):
    (photos / "first.png").rename(photos / "\udcff 犬.png")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["predict", str(photos), *PARTS, "--out", str(tmp_path / "out")]) == 0
    terminal.flush()
    assert b"out/\\udcff \\u72ac: bench's " in terminal.buffer.getvalue()
    assert len(written(tmp_path / "out")) == 2


def test_thresholds_and_top_k_count(photos, tmp_path):
    for options in ([], ["--threshold", "1"], ["--top-k", "1"]):
        out = tmp_path / "-".join(["out", *options])
        assert main(["predict", str(photos / "first.png"), *PARTS, "--out", str(out), *options]) == 0
    found = {path.parent.parent.name: set(np.unique(Image.open(path))) for path in tmp_path.glob("out*/first/*.png")}
    assert found["out"] == {0, 1, 255}
    assert found["out---threshold-1"] == {255}
    assert found["out---top-k-1"] in ({0, 255}, {1, 255})


def test_a_place_that_is_taken_does_not_stop_the_others(photos, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "first").write_text("a file")
    assert main(["predict", str(photos), *PARTS, "--out", str(out)]) == 1
    assert "1 of 2 images failed" in capsys.readouterr().err
    assert written(out) == ["first", "sub/second/label_map.png"]
