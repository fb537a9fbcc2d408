"""Adding a family touches its own folder and two lists: what a family says of itself, and who names one."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from setuptools.config.setupcfg import read_configuration

from ovparts_hf.models.auto import FAMILIES, config_class, family_facts, model_class
from ovparts_hf.models.checkpoints import recognise_family
from ovparts_hf.models.family_facts import FamilyFacts
from ovparts_hf.models.loading import TOY_FOLDER, TOY_MODELS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ovparts_hf"
EXAMPLE = {"clipseg"}
"""The family that serves as an example, and that is used where nothing else was chosen."""
NAMED = {
    "__init__.py": set(FAMILIES),  # one of the two lists: the public names
    "models/auto.py": set(FAMILIES),  # the other: the families
    "metrics/part_miou/part_miou.py": {"partclipseg", "partcatseg"},  # the same, in its description
    "metrics/flavours.py": {"partclipseg", "partcatseg"},  # the papers that define these numbers
    "evaluation/predictor.py": {"partclipseg", "catseg"},  # its numbers; an example of a model with windows
    "reporting/cards/benchmark.py": {"clipseg", "catseg", "zsseg", "maskformer"},  # rows of the paper's tables
    "reporting/toy_table/document.py": {"clipseg", "maskformer"},  # what the rows of the toy table know before
    "inference/adapters/closed_vocabulary.py": {"maskformer"},  # that of transformers
    "inference/advice.py": EXAMPLE,
    "training/finetuning/facts.py": EXAMPLE,
    "training/sharding.py": {"maskformer"},  # an example of a closed vocabulary
    "models/loading.py": EXAMPLE,  # the folder of the toy weights that `toy` is
    "cli/demo.py": EXAMPLE,
    "cli/evaluation.py": {"clipseg", "catseg"},  # options that only stock weights, or only windows, have
    "cli/finetune.py": {"clipseg", "catseg"},
    "cli/models.py": EXAMPLE,
    "cli/predict.py": EXAMPLE,
    "cli/results.py": {"clipseg", "catseg"},
    "cli/sharing.py": EXAMPLE,
    "cli/training.py": {"clipseg", "zsseg"},  # prompts are tuned for ZSseg+ alone
}
"""File outside of the families' folders -> the families that its code names, and why."""
FAMILY = re.compile("|".join(sorted(FAMILIES, key=len, reverse=True)), re.IGNORECASE)
SHARED_KEYS = {"catseg": ["partcatseg"], "maskformer": ["zsseg"]}


def texts(file: Path) -> Iterator[str]:
    """Every identifier and text in the code of a file, without docstrings and comments."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    strings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) not in strings:
            yield from (value for value in vars(node).values() if isinstance(value, str))


def named_in(file: Path) -> set[str]:
    return {match.lower() for text in texts(file) for match in FAMILY.findall(text)}


def test_only_these_files_name_families():
    folders = [PACKAGE / "models" / family for family in FAMILIES]
    files = [path for path in PACKAGE.rglob("*.py") if not any(folder in path.parents for folder in folders)]
    assert len(files) > 200
    found = {path.relative_to(PACKAGE).as_posix(): named_in(path) for path in sorted(files)}
    assert {file: names for file, names in found.items() if names} == NAMED


def test_names_are_found_in_code_and_not_in_docstrings(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(
        '"""About CLIPSeg."""\nfrom ..catseg import x as ZSSegX\n\ny = f"{x} of PartCLIPSeg"  # maskformer\n'
    )
    assert named_in(file) == {"catseg", "zsseg", "partclipseg"}


@pytest.mark.parametrize("family", FAMILIES)
def test_facts_agree_with_the_code(family):
    facts = family_facts(family)
    assert bool(facts.base_title) == config_class(family).requires_base_model
    assert facts.title.lower() == family and facts.paper and facts.checkpoint_keys
    assert (PACKAGE / "models" / family / "model_card.j2").is_file()
    runner = model_class(family).export_runner
    assert runner == (("zsseg.two_stages", "TwoStages") if family == "zsseg" else ("export.one_stage", "OneStage"))
    for name, make in config_class(family).known_pretrained.items():
        assert make().model_type in (config_class(family).base_model_type, config_class(family).model_type), name


def test_texts_of_cards_are_files_of_the_package():
    patterns = read_configuration(ROOT / "setup.cfg")["options"]["package_data"]["ovparts_hf"]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert packed >= {PACKAGE / "models" / family / "model_card.j2" for family in FAMILIES}


def test_facts_need_neither_torch_nor_transformers():
    code = (
        "import sys; from ovparts_hf.models.auto import *; [family_facts(name) for name in FAMILIES]; "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_family_without_facts_has_a_title():
    assert family_facts("novel") == FamilyFacts("novel")


def test_toy_versions_are_found_by_their_files():
    known = ["partclipseg", "catseg", "partcatseg", "zsseg", "maskformer"]
    assert list(TOY_MODELS) == ["toy-trained", "toy", *(f"toy-{family}" for family in known)]
    for family in FAMILIES:
        names = (family, *family_facts(family).toy_prompts, *family_facts(family).toy_prompts.values())
        assert [name for name in names if not (TOY_FOLDER / f"{name}.yaml").is_file()] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_is_recognised_whatever_else_is_in_it(family):
    facts = family_facts(family)
    keys = [f"{prefix}weight" for prefix in facts.checkpoint_keys]
    contained = [f"{prefix}weight" for prefix in family_facts(facts.contains).checkpoint_keys] if facts.contains else []
    assert recognise_family(iter(["epoch", *keys, *contained])) == family
    assert recognise_family([*contained, *keys]) == family
    assert [other for other in FAMILIES if family_facts(other).contains == family] == SHARED_KEYS.get(family, [])


@pytest.mark.parametrize("keys", [[], ["weight"], ["model.clipseg_model.weight"], ["prompt_learner.x"]])
def test_other_checkpoints_are_not(keys):
    assert recognise_family(keys) is None


@pytest.mark.slow
def test_a_new_family_is_one_folder_and_one_line(tmp_path):
    script = Path(__file__).with_name("add_family.py")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
