"""`ovparts prepare custom`, and what it leads to."""

import json

import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.taxonomy import PartTaxonomy

from ..data.labelled import write_coco, write_masks


@pytest.fixture
def source(tmp_path):
    write_coco(tmp_path / "source", 12)
    return tmp_path / "source"


def prepare(*arguments):
    return main(["prepare", "custom", *map(str, arguments)])


def test_a_dry_run_prints_and_paints_but_writes_no_dataset(source, tmp_path, capsys):
    assert prepare(source, tmp_path / "out", "--dry-run") == 0
    text = capsys.readouterr().out
    for expected in ("12 labelled images", "wheel", "64 x 48 (12)", "validation 2", "No problem.", "out-preview"):
        assert expected in text
    pictures = sorted((tmp_path / "out-preview").glob("*.png"))
    assert len(pictures) == 10  # of 12
    with Image.open(pictures[0]) as picture:
        assert min(picture.size) >= 48
    assert not (tmp_path / "out").exists()
    assert prepare(source, tmp_path / "out", "--dry-run") == 0
    assert len(list((tmp_path / "out-preview").glob("*.png"))) == 10


def test_overlays_of_large_images_are_small(source, tmp_path):
    Image.new("RGB", (3000, 2000)).save(source / "images" / "large.png")
    data = json.loads((source / "labels.json").read_text())
    data["images"].append({"id": 99, "file_name": "large.png", "height": 2000, "width": 3000})
    entry = {"id": 500, "image_id": 99, "category_id": data["categories"][0]["id"]}
    data["annotations"].append(entry | {"segmentation": [[0, 0, 900, 0, 900, 900, 0, 900]]})
    (source / "labels.json").write_text(json.dumps(data))
    assert prepare(source, tmp_path / "out", "--dry-run") == 0
    sizes = {path.stem: Image.open(path).size for path in (tmp_path / "out-preview").glob("*.png")}
    assert max(side for size in sizes.values() for side in size) == 1024 and sizes["large"][0] == 1024


def test_what_was_written_into_the_source_is_not_read(source, capsys):
    assert prepare(source, source / "out", "--dry-run") == 0
    assert prepare(source, source / "out") == 0
    capsys.readouterr()
    assert prepare(source, source / "again", "--dry-run") == 0
    text = capsys.readouterr().out
    assert "12 labelled images" in text
    assert "No problem." in text
    assert "note" not in text


def test_a_dry_run_with_problems_fails_and_lists_all(source, tmp_path, capsys):
    for number in range(3):
        (source / "images" / f"photo{number:02d}.png").write_bytes(b"")
    assert prepare(source, tmp_path / "out", "--dry-run") == 1
    text = capsys.readouterr().out
    assert "3 problems:" in text
    assert all(f"photo{number:02d}.png" in text for number in range(3))


def test_a_preview_does_not_replace_other_files(source, tmp_path, capsys):
    (tmp_path / "out-preview").mkdir()
    (tmp_path / "out-preview" / "thesis.tex").write_text("")
    assert prepare(source, tmp_path / "out", "--dry-run") == 1
    assert "something else" in capsys.readouterr().err
    assert (tmp_path / "out-preview" / "thesis.tex").exists()


def test_prepared_data_are_like_others(source, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ("--unseen", "bus", "--val", "25%", "--license", "cc-by-4.0", "--seed", "3", "--num-proc", "2")
    assert prepare(source, out, *arguments) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert main(["check", str(out)]) == 0
    assert main(["few-shot", str(out), str(tmp_path / "few.json"), "--shots", "1"]) == 0
    dataset = PartDataset.load(out, cache_dir=tmp_path / "cache")
    assert dataset.taxonomy.seen_objects == ("dog",)
    assert len(dataset.splits["validation"]) == 3
    assert json.loads((out / "split.json").read_text())["seed"] == 3
    assert prepare(source, out, *arguments) == 1
    assert "prepared dataset already" in capsys.readouterr().err
    assert prepare(source, out, "--split", out / "split.json", "--overwrite") == 0
    again = PartDataset.load(out, cache_dir=tmp_path / "cache")
    assert sorted(again.splits["validation"]["image_id"]) == sorted(dataset.splits["validation"]["image_id"])


def test_masks_with_names_and_taxonomy(tmp_path):
    write_masks(tmp_path / "source", 5)
    (tmp_path / "source" / "names.txt").rename(tmp_path / "my names.txt")
    taxonomy = PartTaxonomy.from_part_classes(["bus's door", "bus's wheel", "dog's head", "dog's tail"])
    taxonomy.to_json(tmp_path / "taxonomy.json")
    extra = ("--format", "masks", "--names", tmp_path / "my names.txt", "--taxonomy", tmp_path / "taxonomy.json")
    assert prepare(tmp_path / "source", tmp_path / "out", *extra) == 0
    assert PartTaxonomy.from_json(tmp_path / "out" / "taxonomy.json").part_classes == taxonomy.part_classes


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["custom", "OUT"], "needs its SOURCE"),
        (["custom", "nowhere", "OUT"], "nowhere does not exist"),
        (["custom", "SOURCE", "OUT", "--val", "many"], "'many'"),
        (["custom", "SOURCE", "OUT", "--seen", "cow"], "'cow'"),
        (["custom", "SOURCE", "OUT", "--group", "("], "regular expression"),
        (["custom", "SOURCE", "OUT", "--images", "nowhere"], "--images: nowhere does not exist"),
        (["custom", "SOURCE", "OUT", "--split", "nowhere"], "--split: nowhere does not exist"),
        (["custom", "SOURCE", "OUT", "--taxonomy", "nowhere"], "nowhere cannot be read"),
        (["custom", "SOURCE", "pascal-part-116"], "name of another dataset"),
        (["custom", "SOURCE", "SOURCE"], "left alone"),
        (["toy-world", "OUT", "--val", "20%"], "--val is for"),
        (["pascal-part-116", "SOURCE", "OUT", "--dry-run"], "--dry-run is for"),
    ],
)
def test_usage_errors(arguments, expected, source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paths = {"SOURCE": str(source), "OUT": str(tmp_path / "out")}
    assert main(["prepare", *(paths.get(argument, argument) for argument in arguments)]) == 1
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_problems_are_one_message_and_nothing_is_written(source, tmp_path, capsys):
    (source / "images" / "photo04.png").unlink()
    assert prepare(source, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "1 problem" in error
    assert "photo04.png" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
