"""What the tests of cards read out of a card."""

import re
import shlex
from pathlib import Path

from ovparts_hf import cli
from ovparts_hf.training import PromptTuningArguments, TrainArguments

ROOT = Path(__file__).parents[3]
PAPER_HEADING = "### The paper's numbers, not measured with this library"
OTHERS_HEADING = "### Others' numbers, not measured with this library"
MEASURED_HEADING = "### Measured with this library"


def fences(card, language):
    """The fenced blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", card)


def commands(card):
    """All command lines, also those in running text that are more than the name of a command."""
    lines = [line for block in fences(card, "bash") for line in block.splitlines()]
    text = re.sub(r"(?ms)^```.*?^```$", "", card)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    return lines + [span for span in spans if span.startswith("ovparts ") and len(span.split()) > 2]


def check_command(line):
    """Parses a command line with the real parser, and its recipe with the real arguments.

    Returns:
        The options; None for a script.
    """
    arguments = shlex.split(line)
    if arguments[:2] == ["python", "examples/tune_prompts.py"]:
        assert arguments[2] == "--recipe"
        PromptTuningArguments.from_recipe(ROOT / arguments[3], arguments[4:])
        return None
    assert arguments[0] == "ovparts", line
    options, overrides = cli._parser().parse_known_args(arguments[1:])
    assert options.takes_overrides or not overrides, line
    if arguments[1] == "train":
        options.arguments = TrainArguments.from_recipe(ROOT / options.recipe, overrides)
    return options


def tables(card, heading):
    """The numbers of the Markdown table below a heading, row by row."""
    section = card.split(heading)[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row] for row in rows]


def section(card, heading):
    """The text below a heading of the second level."""
    return card.split(f"\n## {heading}\n")[1].split("\n## ")[0]
