"""The commands that fine-tune and that suggest what to label."""

import pytest

from ovparts_hf.cli import main
from ovparts_hf.toy.world import draw


def test_a_dry_run_prints_the_plan_and_writes_nothing(garden_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["finetune", str(garden_folder), str(out), "--dry-run", "--time", "2h", "workers=0"]) == 0
    printed = capsys.readouterr().out
    assert "toy-trained" in printed and "as given: workers=0" in printed and "all 242 steps" in printed
    assert not out.exists()


def test_fine_tunes_and_says_what_came_of_it(garden_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["finetune", str(garden_folder), str(out), "--seed", "2", "steps=1", "--batch-size", "2"]) == 0
    printed = capsys.readouterr().out
    assert "| before " in printed and "| after " in printed
    assert f"Model: {out / 'run' / 'last'}" in printed and f"Report: {out / 'report' / 'index.html'}" in printed
    assert "seed: 2" in (out / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "soon"], "'soon' is no length of time"),
        (["--shots", "0"], "shots is 0; it must be at least 1"),
        (["stepz=3"], "stepz"),
        (["output=x"], "cannot be overridden here"),
        (["--model", "nowhere"], "No model configuration at 'nowhere'"),
    ],
)
def test_wrong_arguments_are_a_sentence(garden_folder, tmp_path, capsys, arguments, message):
    assert main(["finetune", str(garden_folder), str(tmp_path / "out"), *arguments]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ovparts: ") and message in error
    assert not (tmp_path / "out").exists()


def test_suggests_what_to_label(photos, tmp_path, capsys):
    draw("any", 1).image.save(photos / "third.png")
    out = tmp_path / "next"
    arguments = ["label-next", "toy-trained", str(photos), str(out), "--count", "1", "--format", "cvat"]
    assert main([*arguments, "--parts", "car: wheel, window, body, door"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[-1] == str(out)
    assert lines[0] >= lines[1] >= lines[2]
    assert {"contact_sheet.png", "cvat.xml", "images.csv", "images.json"} <= {path.name for path in out.iterdir()}
    assert main(arguments) == 1
    assert "holds an earlier suggestion; add --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
