"""The pages of docs/: generated ones are up to date, errors that are quoted exist, public names are documented."""

import ast
import dataclasses
import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

import ovparts_hf
from ovparts_hf import BenchmarkResult, cli
from ovparts_hf.evaluation.stored_result import SCHEMA_VERSION
from ovparts_hf.training import PromptTuningArguments, TrainArguments

from ..reporting.cards.reading import fences

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def load(name):
    """A file of docs/ as a module; it is no package."""
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(str(DOCS))  # generate.py imports notebooks.py
generate, hooks, notebooks = load("generate"), load("hooks"), load("notebooks")


@pytest.mark.parametrize("name", generate.PAGES)
def test_generated_pages_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.render(name), "run `python docs/generate.py`"


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_cells_that_notebooks_share_are_up_to_date(path):
    expected = notebooks.render(path, notebooks.repository_address())
    assert path.read_text(encoding="utf-8") == expected, "run `python docs/generate.py`"


@pytest.mark.parametrize("address", ["https://github.com/owner/name", "https://github.com/owner/name.git"])
def test_with_an_address_notebooks_open_in_colab_and_install_from_there(address):
    for path in notebooks.paths():
        _, colab, install, *_ = json.loads(notebooks.render(path, address))["cells"]
        link = f"(https://colab.research.google.com/github/owner/name/blob/main/examples/notebooks/{path.name})"
        assert "".join(colab["source"]).endswith(link)
        assert f'"ovparts_hf @ git+{address}"' in "".join(install["source"])


def test_the_address_of_the_repository_is_one():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.get("repository-code") == notebooks.repository_address()


def test_numbers_of_a_card_are_in_the_table_of_models(tmp_path):
    def result(setting, flavour, **metrics):
        return [
            EvalResult(
                task_type="image-segmentation",
                dataset_type="d",
                dataset_name="Some data",
                metric_type="m",
                metric_name=f"{key}, {flavour} (zero_shot, {setting})",
                metric_value=value,
                metric_args={"setting": setting, "flavour": flavour},
            )
            for key, value in metrics.items()
        ]

    def write(lines):
        path = tmp_path / "card.md"
        data = ModelCardData(**({"model_name": "x", "eval_results": lines} if lines else {"license": "mit"}))
        ModelCard(f"---\n{data.to_yaml()}\n---\n").save(path)
        return path

    zero_shot = {"mIoU_seen": 30.0, "mIoU_unseen": 10.0, "hIoU": 15.0}
    others = result("oracle_obj", "strict", hIoU=1.0) + result("pred_all", "ov_parts", hIoU=2.0)
    assert generate.measured(write(result("oracle_obj", "ov_parts", **zero_shot) + others)) == (
        "Some data: 30.00 / 10.00 / **15.00**"
    )
    assert generate.measured(write(result("oracle_obj", "ov_parts", mIoU=20.0))) == "Some data: **20.00**"
    assert generate.measured(write([])) == generate.measured(write(others)) == "-"


def test_the_page_of_commands_has_each_option():
    sections = re.split(r"^## ", generate.cli_page(), flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == [command.name for command in cli.commands()]
    for command, section in zip(cli.commands(), sections):
        for names, settings in command.arguments:
            assert (f"`{names[0]}" in section) == (settings["help"] != "==SUPPRESS=="), (command.name, names)
        assert "%(" not in section


def test_the_page_of_recipes_has_each_field_with_its_default():
    page = generate.recipes_page()
    for arguments in (TrainArguments, PromptTuningArguments):
        for field in dataclasses.fields(arguments):
            rows = re.findall(rf"^\| `{field.name}` \|.*", page, re.MULTILINE)
            assert rows and all(len(row.split(" | ")) == 4 and not row.endswith("|  |") for row in rows), field.name
    assert "| `steps` | int, at least 1 | `20000` | Optimiser steps. |" in page
    assert "| `steps` | int, at least 1 | `3200` | Optimiser steps. |" in page


def test_a_result_fits_its_schema(tmp_path):
    result = BenchmarkResult({"mIoU": 50.0}, [], "zero_shot", "oracle_obj", {"name": "x"}, {"name": "y"}, 0)
    result.to_json(tmp_path / "result.json")
    stored = yaml.safe_load((tmp_path / "result.json").read_text(encoding="utf-8"))
    schema = generate.result_schema()
    assert set(stored) == set(schema["properties"]) == set(schema["required"])
    assert schema["properties"]["schema_version"] == {"const": SCHEMA_VERSION}
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    for name, value in stored.items():
        if name != "schema_version":
            assert isinstance(value, kinds[schema["properties"][name]["type"]]), name


def test_every_public_name_is_in_the_reference():
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^::: ovparts_hf\.(\w+)$", page, re.MULTILINE)) - {"errors"}
    named = described | set(re.findall(r"`([A-Z]\w+|open_\w+)`", page))
    assert set(ovparts_hf.__all__) - named == set()
    assert described <= set(ovparts_hf.__all__)
    assert [name for name in described if not getattr(ovparts_hf, name).__doc__] == []


def messages():
    """All texts of the package's source; "…" where they are filled in."""
    found = []
    for path in (ROOT / "ovparts_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return [" ".join(text.split()) for text in found]


def test_the_errors_that_are_quoted_exist():
    quoted = [block.strip() for block in fences((DOCS / "faq.md").read_text(encoding="utf-8"), "text")]
    assert len(quoted) > 15
    source = "\n".join(messages())
    for error in quoted:
        pattern = ".*".join(re.escape(part.strip()) for part in error.split("…"))
        assert re.search(pattern, source), error


def test_the_site_is_built_without_a_warning(tmp_path):
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module, reason="the site is built by the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "PartSegmenter" in (tmp_path / "reference" / "api" / "index.html").read_text(encoding="utf-8")


def test_the_navigation_has_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    in_navigation = re.findall(r": ([\w/]+\.md)$", text, re.MULTILINE)
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(in_navigation) == len(set(in_navigation)) and set(in_navigation) == pages


def test_the_table_of_licences_has_all_weights_and_datasets():
    from ovparts_hf.reporting.cards.facts import DATASETS, WEIGHTS

    page = (DOCS / "licences.md").read_text(encoding="utf-8")
    assert [name for name in WEIGHTS if "/" in name and f"`{name}`" not in page] == []
    assert [facts.title for facts in DATASETS.values() if facts.title.lower() not in page.lower()] == []
    assert [facts.terms for facts in DATASETS.values() if facts.terms not in page] == []


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("models.md", "../model_cards/x.md", "../model_cards/x.md"),  # does not exist: mkdocs reports it
        ("models.md", "../CONTRIBUTING.md#commits", "repository/CONTRIBUTING.md#commits"),
        ("tutorials/add_a_model.md", "../../CONTRIBUTING.md", "../repository/CONTRIBUTING.md"),
        ("tutorials/add_a_model.md", "../segmenters.md", "../segmenters.md"),
        ("segmenters.md", "../model_cards", "models.md"),
        ("your_data.md", "../examples/space", "repository/examples/space/README.md"),
        ("repository/CONTRIBUTING.md", "docs/protocol.md", "../protocol.md"),
        ("models.md", "../../secret.md", "../../secret.md"),
        ("models.md", "https://x.org/a.md", "https://x.org/a.md"),
        ("models.md", "#models", "#models"),
    ],
)
def test_links_out_of_the_folder_lead_to_the_copies_of_the_site(page, link, expected):
    changed = hooks.on_page_markdown(f"[a]({link})", SimpleNamespace(file=SimpleNamespace(src_uri=page)), None, None)
    assert changed == f"[a]({expected})"
