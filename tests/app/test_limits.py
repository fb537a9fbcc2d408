"""What visitors may do, as Python and the shell say it."""

from dataclasses import fields
from pathlib import Path

import pytest

from ovparts_hf.app import Limits
from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError


def test_limits_are_read_from_text():
    assert Limits.parse([]) == Limits()
    assert Limits.parse(["parts=64", "time_limit=2.5"]) == Limits(parts=64, time_limit=2.5)


@pytest.mark.parametrize("setting", ["steps=3", "parts", "parts=", "parts=many", "parts=1.5", "=1"])
def test_what_is_no_limit_is_refused(setting):
    with pytest.raises(ConfigurationError, match="is no limit; write name=number, where name is one of file_size, "):
        Limits.parse([setting])


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_limits_are_above_zero(name):
    for value in (0, -1, float("nan")):
        with pytest.raises(ConfigurationError, match=f"{name} is {value}; it must be above 0"):
            Limits(**{name: value})


def test_the_command_passes_limits_on(monkeypatch):
    pytest.importorskip("gradio", reason="the web page needs gradio")
    served = []
    monkeypatch.setattr("ovparts_hf.app.launch_app", lambda *args, **options: served.append(args[1:]))
    assert main(["demo", "--app", "--concurrency", "3", "--limit", "parts=5", "waiting=2"]) == 0
    assert served == [(Limits(parts=5, waiting=2), 3)]


@pytest.mark.parametrize(
    ("options", "message"), [(["--limit", "parts=0"], "parts is 0"), (["--concurrency", "0"], "concurrency is 0")]
)
def test_bad_limits_are_refused_before_a_model_is_loaded(options, message, monkeypatch, capsys):
    pytest.importorskip("gradio", reason="the web page needs gradio")
    monkeypatch.setattr("ovparts_hf.inference.segmenter.ModelSource", None)
    assert main(["demo", "--app", *options]) == 1
    assert message in capsys.readouterr().err


def test_the_help_names_every_limit(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    text = "".join(capsys.readouterr().out.split())
    assert all(f"{field.name}={field.default}" in text for field in fields(Limits))


def test_the_documentation_gives_every_default():
    text = (Path(__file__).parents[2] / "docs" / "your_images.md").read_text()
    for field in fields(Limits):
        assert f"| `{field.name}` | {field.default:,} |" in text
