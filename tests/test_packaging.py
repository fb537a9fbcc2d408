"""What a wheel holds, without building one (`make wheel` does): packages, data files, types and extras; and how the
suite that pyproject.toml sets up ends when something goes wrong that no test expects.
"""

import configparser
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

import ovparts_hf
from ovparts_hf.dataset_builders import BUILDERS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ovparts_hf"
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = set(SETUP["options.extras_require"])
WITHOUT_A_SENTENCE = {"dev", "docs", "evaluate", "segmenters", "test"}
"""Of tools, or of libraries that other libraries ask for themselves."""


def lines(text):
    return text.replace(",", "\n").split()


def packages():
    setuptools = pytest.importorskip("setuptools", reason="finds the packages of a wheel")
    return setuptools.find_packages(str(ROOT), include=lines(SETUP["options.packages.find"]["include"]))


def test_everything_lies_below_the_package():
    found = packages()
    assert {name.split(".")[0] for name in found} == {"ovparts_hf"}
    assert "ovparts_hf.dataset_builders.toy_world" in found


@pytest.mark.parametrize(
    ("link", "folder"), [("dataset_builders", "dataset_builders"), ("recipes", "examples/recipes")]
)
def test_folders_outside_are_part_of_the_package(link, folder):
    """As links: in a checkout, an editable install and a wheel they are found in the same place."""
    path = PACKAGE / link
    assert path.resolve() == ROOT / folder
    assert path.readlink() == Path("..") / folder


def test_builders_can_be_imported_from_a_checkout_too():
    code = "import dataset_builders; print(*dataset_builders.BUILDERS)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == list(BUILDERS)


def data_files():
    """The files that are no modules and that a wheel carries."""
    found = set()
    for package, patterns in SETUP["options.package_data"].items():
        folder = ROOT.joinpath(*package.split("."))
        for pattern in lines(patterns):
            matches = [path for path in folder.glob(pattern) if path.is_file()]
            assert matches, f"{pattern} of {package} matches nothing"
            found |= set(matches)
    return found


def test_every_file_of_the_package_is_carried():
    here = {
        path
        for folder in (PACKAGE, PACKAGE / "dataset_builders", PACKAGE / "recipes")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and not path.name.startswith(".")
    }
    assert len(here) > 80
    assert here - data_files() == set()


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed") in data_files()


def test_python_runs_the_package_as_the_command():
    run = subprocess.run([sys.executable, "-m", "ovparts_hf", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and "usage: ovparts" in run.stdout


WITHOUT_EXTRAS = """
import gc, importlib, pkgutil, sys

gc.disable()  # imports make next to no garbage
sys.modules |= dict.fromkeys(sys.argv[1:])  # None: cannot be imported
import ovparts_hf

names = [module.name for module in pkgutil.walk_packages(ovparts_hf.__path__, "ovparts_hf.")]
for name in names:
    if not name.startswith("ovparts_hf.app."):
        importlib.import_module(name)
print(len(names))
gc.freeze()  # or the end would look for some
"""


def test_only_the_web_page_needs_an_extra_to_be_imported():
    modules = ["av", "evaluate", "gradio", "mcp", "onnx", "onnxruntime", "onnxscript", "openvino", "peft"]
    modules += ["pillow_heif", "pydensecrf", "rankseg", "supervision", "torchvision", "trackio"]
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *modules]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 150


@pytest.mark.parametrize("extra", sorted(EXTRAS - WITHOUT_A_SENTENCE))
def test_a_missing_extra_is_asked_for_by_name(extra):
    """Its own tests check the sentence; here: that there is one for each."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = set(re.findall(r"pip install \\?[\"']ovparts_hf\[([\w{}]+)\]", source))
    assert named - {"{export_format}", "FORMAT"} <= EXTRAS
    assert extra in named | {"onnx", "openvino"}


def test_an_extra_is_added_to_the_package_that_is_installed(tmp_path):
    """What messages and docs say to type works while the package is not on PyPI."""
    for name in ("pip", "av"):
        pytest.importorskip(name)
    if not [*distributions(name="ovparts_hf", path=[sysconfig.get_path("purelib")])]:
        pytest.skip("ovparts_hf is not installed")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet", "ovparts_hf[video]"]
    here = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["version"] == ovparts_hf.__version__
    assert citation["license"] == SETUP["metadata"]["license"]
    preferred = citation["preferred-citation"]
    assert {"type", "title", "authors", "year"} <= set(preferred)
    assert preferred["title"] in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_run_targets_that_exist(path):
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    targets = set(re.findall(r"^([a-z][\w-]*(?: [\w-]+)*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    known = {name for line in targets for name in line.split()}
    text = text.replace("${{ matrix.versions }}", "oldest")
    used = set(re.findall(r"\bmake ([\w-]+)", text))
    assert used and used <= known


def test_a_run_ends_when_a_worker_process_dies(tmp_path):
    """By itself, pytest-xdist starts another, which under loadfile may wait for ever."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text("def test_passes():\n    pass\n")
    (tmp_path / "test_c.py").write_text("import os\n\ndef test_dies():\n    os.kill(os.getpid(), 9)\n")
    command = [sys.executable, "-m", "pytest", *shlex.split(settings["addopts"]), "-n", "2", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    assert "crashed while running 'test_c.py::test_dies'" in run.stdout and "2 passed" in run.stdout
