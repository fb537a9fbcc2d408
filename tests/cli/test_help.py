"""What the command line needs no model for: help, usage errors, spellings; and what it does not load for them."""

import gc
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ovparts_hf import cli
from ovparts_hf.cli import evaluation, main, models
from ovparts_hf.inference import decoding
from ovparts_hf.models.configuration_utils import RESNETS

ROOT = Path(__file__).parents[2]
PARSER = cli._parser()
COMMANDS = {command.name: command for command in cli.commands()}
HEAVY = {"torch", "transformers", "accelerate", "gradio"}
LIGHT = f"""
import json, sys
from ovparts_hf.cli import main

for arguments, expected in json.load(sys.stdin):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == expected, (arguments, code)
    assert not {HEAVY} & set(sys.modules), (arguments, {HEAVY} & set(sys.modules))
"""


def test_neither_help_nor_datasets_load_torch(pascal_archive, tmp_path):
    data, nowhere = str(tmp_path / "data"), str(tmp_path / "nowhere")
    runs = [
        *(([*command, "--help"], 0) for command in [[], *([name] for name in COMMANDS)]),
        *(
            (arguments, 2)
            for arguments in ([], ["evaluate"], ["unknown"], ["check", "x", "--jsn"], ["prepare", "no-data", "x"])
        ),
        (["check", nowhere], 1),
        (["check", str(pascal_archive)], 1),
        (["prepare", "pascal-part-116", str(pascal_archive), data], 0),
        (["check", data, "--json"], 0),
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], input=json.dumps(runs), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("before", "after"), [(700, 10_000), (50_000, 50_000)])
def test_garbage_is_looked_for_less_often_and_not_at_the_end(before, after, tmp_path, monkeypatch):
    at_exit = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    thresholds = gc.get_threshold()
    gc.set_threshold(before)
    try:
        assert main(["check", str(tmp_path / "nowhere")]) == 1
        assert gc.get_threshold()[0] == after and at_exit == [gc.freeze]
    finally:
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: ovparts {command} " in text
    options, overrides = PARSER.parse_known_args(shlex.split(COMMANDS[command].example)[1:])
    assert options.call is COMMANDS[command].run
    assert not overrides or options.takes_overrides


def test_every_command_is_listed(capsys):
    assert [
        *(
            "predict",
            "prepare",
            "check",
            "few-shot",
            "finetune",
            "label-next",
            "train",
            "tune-prompts",
            "recipes",
            "export",
            "convert",
            "demo",
            "evaluate",
            "report",
            "compare",
        ),
        *("submit-format", "score", "card", "push"),
    ] == list(COMMANDS)
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert [name for name in COMMANDS if COMMANDS[name].summary not in text] == []


def test_unknown_options_are_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check", "x", "--jsn"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --jsn. Did you mean '--json'?" in capsys.readouterr().err


def test_parts_without_quotes_are_refused_with_the_way_to_write_them(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", "photo.jpg", "--parts", "dog:", "head,", "ear"])
    assert stop.value.code == 2
    advice = 'unrecognized arguments: head, ear. Write all parts in one pair of quotes: --parts "dog: head, ear".'
    assert advice in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "old", "new"), [("evaluate MODEL DATA", "--max-pictures 3", "--max-images 3")], ids=["max-pictures"]
)
def test_old_spellings_are_understood_and_not_shown(command, old, new, capsys):
    found = [vars(PARSER.parse_args(shlex.split(f"{command} {spelling}"))) for spelling in (old, new)]
    assert found[0] == found[1] != vars(PARSER.parse_args(shlex.split(command)))
    with pytest.raises(SystemExit):
        main([command.split()[0], "--help"])
    text = capsys.readouterr().out
    assert old.split()[0] not in text and new.split()[0] in text


def test_choices_are_those_of_the_library():
    assert tuple(RESNETS) == models.RESNETS
    assert decoding.DECODINGS == evaluation.DECODINGS


def test_interruptions_and_errors_have_exit_codes_of_their_own(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ovparts_hf.data.preparation.check.check", interrupt)
    assert main(["check", "x"]) == 130
    assert main(["report", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("ovparts: nowhere cannot be read")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_takes_the_place_of_what_the_parser_keeps(command):
    arguments = COMMANDS[command].arguments
    named = {settings.get("dest", names[0].strip("-").replace("-", "_")) for names, settings in arguments}
    assert named & {"call", "takes_overrides", "known", "overrides", "command_line"} == set()
