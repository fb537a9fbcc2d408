"""Public names are loaded when first used, and transformers' Auto classes know the models all the same."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ovparts_hf
from ovparts_hf.models.auto import FAMILIES, config_class, model_class
from ovparts_hf.models.loading import TOY_FOLDER

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_names_and_auto_classes_work_whatever_is_imported_first(tmp_path):
    script = Path(__file__).with_name("use_names.py")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(TOY_FOLDER / "trained")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_type_checkers_see_the_names_that_are_loaded():
    tree = ast.parse(Path(ovparts_hf.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname or alias.name: (node.module, alias.name) for node in block.body for alias in node.names}
    assert seen == ovparts_hf._HOMES
    assert sorted(seen) == ovparts_hf.__all__


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(AttributeError, match="'ovparts_hf' has no attribute 'PartSegmentor'"):
        ovparts_hf.PartSegmentor  # noqa: B018


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_found_by_its_folder(family):
    assert config_class(family).__name__ == FAMILIES[family]
    assert config_class(family).model_type == f"ovparts_{family}"
    assert model_class(family).config_class is config_class(family)
