"""`ovparts prepare` of datasets with label files."""

import json

import pytest

from ovparts_hf.cli import main

from ..data.formats.writers import WRITERS
from ..data.labelled import PARTS
from ..data.preparation.relatives import OOD, SEG, write_paco, write_partimagenet

RELATIVES = {
    "partimagenet": (lambda folder: write_partimagenet(folder, SEG), "147 "),
    "partimagenet-ood": (lambda folder: write_partimagenet(folder, OOD, nested=True), "482 "),
    "paco-lvis": (write_paco, "456 "),
}


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_are_prepared_checked_and_not_prepared_twice(name, tmp_path, capsys):
    write, classes = RELATIVES[name]
    write(tmp_path / "release")
    command = ["prepare", name, str(tmp_path / "release"), str(tmp_path / "out")]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"\n{classes}part classes of" in card and "| `default` | validation |" in card
    assert main(["check", str(tmp_path / "out")]) == 0
    assert f": {name} (prepared)" in capsys.readouterr().out
    assert main(command) == 1
    assert "is a prepared dataset already" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--num-proc", "2"]) == 0


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_need_their_folder(name, tmp_path, capsys):
    assert main(["prepare", name, str(tmp_path / "out")]) == 1
    assert f"{name} needs its SOURCE: the unpacked folder of the dataset." in capsys.readouterr().err
    assert main(["prepare", name, str(tmp_path / "nothing"), str(tmp_path / "out"), "--val", "20%"]) == 1
    assert "--val is for `ovparts prepare custom`" in capsys.readouterr().err
    assert main(["prepare", name, str(tmp_path / "nothing"), str(tmp_path / "out")]) == 1
    assert "does not exist" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_unseen_objects_of_paco_by_its_taxonomy(tmp_path):
    write_paco(tmp_path / "paco")
    assert main(["prepare", "paco-lvis", str(tmp_path / "paco"), str(tmp_path / "lvis")]) == 0
    taxonomy = str(tmp_path / "lvis" / "taxonomy.json")
    command = ["prepare", "custom", str(tmp_path / "paco"), str(tmp_path / "mine"), "--taxonomy", taxonomy]
    assert main([*command, "--unseen", "car (automobile)"]) == 0
    found = json.loads((tmp_path / "mine" / "taxonomy.json").read_text())
    assert len(found["part_classes"]) == 456 and "car (automobile)" not in found["seen_objects"]
    assert len(found["seen_objects"]) == 74


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_can_be_named_and_shown(name, tmp_path, capsys):
    WRITERS[name](tmp_path / "labels", 4)
    command = ["prepare", "custom", str(tmp_path / "labels"), str(tmp_path / "out"), "--format", name, "--dry-run"]
    assert main(command) == 0
    out = capsys.readouterr().out
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(part.split("'s ")[1] for part in PARTS) and not (tmp_path / "out").exists()
    assert len(list((tmp_path / "out-preview").glob("*.png"))) == 4


def test_the_toy_garden_is_drawn(tmp_path, capsys):
    out = str(tmp_path / "garden")
    assert main(["prepare", "toy-garden", out]) == 0
    assert main(["check", out]) == 0
    assert "toy-garden (prepared)" in capsys.readouterr().out
