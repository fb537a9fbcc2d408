"""Writes the pages of docs/ that say what the code says: commands, recipes, results, models, notebooks; and the cells
that all notebooks share. `make docs` runs it.

python docs/generate.py
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import notebooks
from huggingface_hub import ModelCard

from ovparts_hf import BenchmarkResult
from ovparts_hf.cli import EXIT_CODES, commands
from ovparts_hf.cli.base import Argument, Command
from ovparts_hf.evaluation.results import markdown_table
from ovparts_hf.evaluation.stored_result import _TYPES, SCHEMA_VERSION
from ovparts_hf.reporting.cards import BENCHMARK_MODELS
from ovparts_hf.reporting.cards.facts import ModelFacts, dataset_facts
from ovparts_hf.reporting.paper import SETTINGS
from ovparts_hf.reporting.toy_table.document import TEXT_COLUMNS, differences_lines, scores_lines, table_markdown
from ovparts_hf.training import PromptTuningArguments, TrainArguments
from ovparts_hf.training.arguments import LoopArguments
from ovparts_hf.utils.files import atomic_write

DOCS = Path(__file__).parent
_NOTE = "<!-- Written by docs/generate.py; edit that file, or what it reads. -->\n\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown, whose cells may hold bars."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# Commands


def cli_page() -> str:
    """Every command with its arguments, from what `--help` is made of."""
    rows = [[f"[`{command.name}`](#{command.name})", command.summary] for command in commands()]
    about = "`ovparts COMMAND --help` says the same in a shell; so does `python -m ovparts_hf`."
    parts = ["# Commands", about, table(["command", ""], rows)]
    parts += [EXIT_CODES, *map(_command, commands())]
    return "\n\n".join(parts)


def _command(command: Command) -> str:
    rows = [_argument(argument) for argument in command.arguments if argument.settings["help"] != SUPPRESS]
    overrides = ["Other arguments override the recipe: `key=value`."] if command.takes_overrides else []
    return "\n\n".join(
        [
            f"## {command.name}",
            f"{command.summary[0].upper()}{command.summary[1:]}.",
            f"```bash\n{command.example}\n```",
            table(["argument", "", "default"], rows),
            *overrides,
        ]
    )


def _argument(argument: Argument) -> list[str]:
    names, settings = argument
    positional = not names[0].startswith("-")
    takes_value = settings.get("action", "append") == "append" and not positional
    value = settings.get("metavar") or names[-1].strip("-").replace("-", "_").upper()
    value = " ".join(value) if isinstance(value, tuple) else value
    if settings.get("action") is BooleanOptionalAction:
        names = (*names, *(name.replace("--", "--no-") for name in names))
    shown = f"{', '.join(names)}{f' {value}' if takes_value else ''}"
    text = settings["help"].replace(" (default: %(default)s)", "").replace("%%", "%")
    if choices := settings.get("choices"):
        text += f": {', '.join(f'`{choice}`' for choice in choices)}"
    default = settings.get("default")
    return [f"`{shown}`", text, "" if default in (None, [], ()) else f"`{default}`"]


# Recipes


def recipes_page() -> str:
    """The fields of recipes with their types and defaults, from the dataclasses that read them."""
    described = docstring_section(LoopArguments, "Args")
    common = [field.name for field in dataclasses.fields(LoopArguments)]
    parts = [
        "# Fields of a recipe",
        "A recipe is a YAML file with these fields; each can be overridden on the command line as `key=value`. Fields "
        "without a default must be given; `null` is Python's None. What they do together: "
        "[training](../training.md), [prompts](../prompts.md).",
    ]
    sections: list[tuple[str, str, type, Callable[[str], bool]]] = [
        ("Of each run", "Defaults are those of models.", TrainArguments, common.__contains__),
        ("Of models", "For `ovparts train`.", TrainArguments, lambda name: name not in common),
        ("Of prompts", "Those of each run, some with other defaults, and:", PromptTuningArguments, _is_of_prompts),
    ]
    for heading, text, arguments, takes in sections:
        texts = {**described, **docstring_section(arguments, "Args"), "data": described["data"]}
        fields = [field for field in dataclasses.fields(arguments) if takes(field.name)]
        rows = [_field(arguments, field, texts[field.name]) for field in fields]
        parts += [f"## {heading}", text, table(["field", "type", "default", ""], rows)]
    return "\n\n".join(parts)


def _is_of_prompts(name: str) -> bool:
    """Whether a field of prompt tuning is its own, or has another default than that of models."""
    of_loop = {field.name: field.default for field in dataclasses.fields(LoopArguments)}
    of_prompts = {field.name: field.default for field in dataclasses.fields(PromptTuningArguments)}
    return of_loop.get(name, dataclasses.MISSING) != of_prompts[name] or name not in of_loop


def _field(owner: type, field: dataclasses.Field[Any], text: str) -> list[str]:
    kind = type_name(get_type_hints(owner, include_extras=True)[field.name])
    missing = dataclasses.MISSING
    default = field.default if field.default_factory is missing else field.default_factory()
    return [f"`{field.name}`", kind, "" if default is missing else f"`{json.dumps(default)}`", text]


def type_name(hint: Any) -> str:
    """A type as recipes write it, with the least number that is allowed: "int, at least 1"."""
    if get_origin(hint) is Annotated:
        kind, least = get_args(hint)
        return f"{kind.__name__}, at least {least}"
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    alternatives = [type_name(part) for part in get_args(hint) if part is not NoneType]
    if NoneType in get_args(hint):
        return f"{' or '.join(alternatives)}, or `null`"
    return str(hint).replace("typing.", "") if alternatives else hint.__name__


def docstring_section(owner: type, heading: str) -> dict[str, str]:
    """What a Google-style docstring says about each name below a heading."""
    text = inspect.cleandoc(owner.__doc__ or "")
    [section] = re.findall(rf"^{heading}:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", section + "\n", re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in entries}


# Results


def results_page() -> str:
    """The layout of result.json, in words and as a JSON Schema."""
    about = docstring_section(BenchmarkResult, "Attributes")
    schema = json.dumps(result_schema(), indent=2)
    rows = [[f"`{name}`", _JSON_TYPES[_TYPES[name]], text] for name, text in about.items()]
    return "\n\n".join(
        [
            "# Result files",
            "`ovparts evaluate --out`, `ovparts finetune` and `BenchmarkResult.to_json` write this layout, version "
            f"{SCHEMA_VERSION}; `BenchmarkResult.from_json` reads it and earlier ones. Percentages run from 0 to 100; "
            "a number that is not defined, such as the IoU of a class that does not occur, is `null`. What the "
            "numbers mean: [protocol](../protocol.md).",
            table(["key", "type", ""], rows),
            "## As a JSON Schema",
            f"```json\n{schema}\n```",
        ]
    )


_JSON_TYPES = {dict: "object", list: "array", str: "string", int: "integer"}


def result_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of result files."""
    properties: dict[str, Any] = {name: {"type": _JSON_TYPES[kind]} for name, kind in _TYPES.items()}
    texts = {key: {"type": "string"} for key in ("name", "object", "part")}
    properties["classes"]["items"] = {
        "type": "object",
        "properties": {**texts, "seen": {"type": "boolean"}},
        "required": [*texts, "seen"],
    }
    numbers = {"type": ["number", "null"]}
    properties["intervals"]["additionalProperties"] = {"type": "array", "items": numbers, "minItems": 2, "maxItems": 2}
    properties["timings"]["additionalProperties"] = {"type": "number"}
    properties["schema_version"] = {"const": SCHEMA_VERSION}
    for name in ("dataset", "model"):
        properties[name] |= {"properties": {"name": {"type": "string"}}, "required": ["name"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "BenchmarkResult of ovparts_hf",
        "type": "object",
        "properties": {name: properties[name] for name in docstring_section(BenchmarkResult, "Attributes")},
        "required": [field.name for field in dataclasses.fields(BenchmarkResult)],
        "additionalProperties": False,
    }


# Models


def models_page() -> str:
    """All models of the benchmark: what they need, their licence, the paper's numbers, and how to get them."""
    origins = {
        "stock": ("Not fine-tuned for parts", "Weights of whole objects, used as they are."),
        "released": (
            "Released checkpoints",
            "By the authors of OV-PARTS; those of PartCLIPSeg and PartCATSeg by their own, whose repositories state no "
            "numbers as text. Download the checkpoint, then convert it.",
        ),
        "recipe": ("No released weights", "A recipe of this library trains them."),
    }
    parts = [
        "# Models",
        "A card for each row of the paper's tables, and for each model that the authors of PartCLIPSeg and PartCATSeg "
        "trained. The paper's numbers are percent in the Oracle-Obj setting: seen / unseen / **harmonic**, or mIoU; "
        "those of the other setting are in the card, and a dash means that none was found. Measured are numbers in "
        "the card that this library computed: none where the weights were not at hand. `ovparts card MODEL --result "
        "RESULT` puts yours into a card. SAM 3, Grounding DINO and others are in [segmenters](segmenters.md).",
        "## In the library",
        "Small models of the [drawn world](../ovparts_hf/toy/README.md), whose numbers are those of its 300 validation "
        "images; they know drawings only. Toy versions of the other families are trained by `ovparts demo --model "
        "NAME`: [what they scored](training.md#toy-versions).",
        table([*_HEADINGS[:3], "measured", _HEADINGS[-1]], _toy_models()),
    ]
    for origin, (heading, text) in origins.items():
        models = [facts for facts in BENCHMARK_MODELS.values() if facts.origin == origin]
        parts += [f"## {heading}", text, table(_HEADINGS, map(_model, models))]
    return "\n\n".join(parts)


_HEADINGS = ["model", "needs", "licence", "the paper's numbers", "measured", "how to get it"]


def _toy_models() -> list[list[str]]:
    """The weights in the package, with the numbers that the page beside them states."""
    text = (DOCS.parent / "ovparts_hf" / "toy" / "README.md").read_text(encoding="utf-8")
    [(harmonic, seen, unseen)] = re.findall(r"(\d+\.\d) hIoU\s\(seen (\d+\.\d),\sunseen (\d+\.\d)\)", text)
    scores = f"{dataset_facts('toy-world').title}: {seen} / {unseen} / **{harmonic}**"
    return [
        ["CLIPSeg, parts of drawn objects", "nothing", "Apache-2.0", scores, "`PartSegmenter.from_pretrained()`"],
        [
            "CLIPSeg, whole drawn objects",
            "nothing",
            "Apache-2.0",
            "-",
            "`load_model('toy')`, which training starts from",
        ],
    ]


def _model(facts: ModelFacts) -> list[str]:
    needs = ", ".join(f"`{name}`" if "/" in name else name for name in facts.starts_from)
    licence = "research only" if facts.research_only else "not stated"
    steps = facts.commands or facts.training or (f"PartSegmenter.from_pretrained({facts.location!r})",)
    card = f"[{facts.title}](../model_cards/{facts.name}.md)"
    measured_here = measured(DOCS.parent / "model_cards" / f"{facts.name}.md")
    return [card, needs, licence, _published(facts), measured_here, "<br>".join(f"`{step}`" for step in steps)]


def measured(card: Path) -> str:
    """The official numbers of a card's `model-index` in the Oracle-Obj setting, or "-"."""
    found: dict[str, dict[str, str]] = {}
    for line in ModelCard.load(card).data.eval_results or ():
        if line.metric_args["setting"] == next(iter(SETTINGS)) and line.metric_args["flavour"] == "ov_parts":
            key = line.metric_name.split(",")[0]
            found.setdefault(line.dataset_name, {})[key] = f"{line.metric_value:.2f}"
    lines = []
    for name, numbers in found.items():
        keys = ["mIoU_seen", "mIoU_unseen", "hIoU"] if "hIoU" in numbers else ["mIoU"]
        *others, headline = (numbers[key] for key in keys)
        lines.append(f"{name}: {' / '.join([*others, f'**{headline}**'])}")
    return "<br>".join(lines) or "-"


def _published(facts: ModelFacts) -> str:
    lines = []
    for line in facts.published:
        if line.setting != next(iter(SETTINGS)):
            continue
        numbers = ["-" if value is None else f"{value:.2f}" for value in line.values.values()]
        if numbers[-1] != "-":
            numbers[-1] = f"**{numbers[-1]}**"
        lines.append(f"{dataset_facts(line.dataset).title}: {' / '.join(numbers)}")
    return "<br>".join(lines) or "-"


# Notebooks


def toy_table_page() -> str:
    """What `make table` measured: all families with three seeds, and crops of objects with five."""
    families, crops = (json.loads((DOCS / name).read_text(encoding="utf-8")) for name in _TABLES)
    parts = [table_markdown(families).strip(), "## Crops of objects, five seeds", _CROPS]
    parts += [markdown_table(lines(crops), TEXT_COLUMNS) for lines in (scores_lines, differences_lines)]
    return "\n\n".join(parts)


_TABLES = ("table.json", "table_crops.json")
_CROPS = (
    "What this library adds to CLIPSeg, [crops of objects](training.md#crops-of-objects), against CLIPSeg at the same "
    "compute: `ovparts demo --table --rows clipseg clipseg-crops --seeds 0 1 2 3 4`. Columns as above; what else was "
    "tried is in [training](training.md#what-short-runs-showed)."
)


def notebooks_page() -> str:
    """What the notebooks are about, and where they open in Colab."""
    address = notebooks.repository_address()
    rows = []
    for path in notebooks.paths():
        title, about = notebooks.heading(path)
        link = f"[open]({notebooks.colab_link(path.name, address)})"
        rows.append([f"[{title}](../examples/notebooks/{path.name})", about, *([link] if address else [])])
    colab = "" if address else " The repository has no public address yet: in Colab, each says what to upload."
    about = f"They run offline, on a CPU, with the small models and drawings that come with the library.{colab}"
    return "\n\n".join(["# Notebooks", about, table(["notebook", "", *(["in Colab"] if address else [])], rows)])


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": cli_page,
    "reference/recipes.md": recipes_page,
    "reference/results.md": results_page,
    "models.md": models_page,
    "table.md": toy_table_page,
    "notebooks.md": notebooks_page,
}


def render(name: str) -> str:
    """The whole text of a page."""
    return f"{_NOTE}{PAGES[name]()}\n"


def main() -> None:
    for name in PAGES:
        with atomic_write(DOCS / name) as temporary:
            temporary.write_text(render(name), encoding="utf-8")
    for path in notebooks.paths():
        with atomic_write(path) as temporary:
            temporary.write_text(notebooks.render(path, notebooks.repository_address()), encoding="utf-8")


if __name__ == "__main__":
    main()
