"""Saved folders in processes that have not imported this package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers.utils import hub

from ovparts_hf.models import ovparts_auto
from ovparts_hf.models.auto import FAMILIES, config_class, model_class
from ovparts_hf.models.configuration_utils import SHIM
from ovparts_hf.models.loading import load_model

ROOT = Path(__file__).parents[2]
TOY = {family: "toy" if family == "clipseg" else f"toy-{family}" for family in FAMILIES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A saved toy model of each family; not to be changed."""
    root = tmp_path_factory.mktemp("saved")
    for family, name in TOY.items():
        for each in load_model(name):
            each.save_pretrained(root / family)
    return {family: root / family for family in FAMILIES}


@pytest.fixture(scope="module")
def elsewhere(folders, tmp_path_factory):
    """What `load_remote_code.py` wrote: for each way, what it found by family, and its complaints."""
    home = tmp_path_factory.mktemp("elsewhere")
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    process = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(Path(__file__).with_name("load_remote_code.py"))]
        + [str(folder) for folder in folders.values()],
        env=environment,
        stdin=subprocess.DEVNULL,  # who is asked a question fails
        capture_output=True,
        text=True,
        timeout=300,
        cwd=home,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    results = {}
    for how in ("missing", "trust", "import"):
        stderr = (home / f"{how}.stderr").read_text()
        assert (home / f"{how}.json").exists(), stderr[-4000:]
        found = json.loads((home / f"{how}.json").read_text())
        lines = [*process.stderr.splitlines(), *stderr.splitlines()]
        complaints = [line for line in lines if "%|" not in line and line.strip()]
        results[how] = {family: found[str(folder)] for family, folder in folders.items()}, complaints
    return results


@pytest.mark.slow
@pytest.mark.parametrize("how", ["trust", "import"])
def test_a_fresh_process_loads_every_family(how, folders, elsewhere):
    found, complaints = elsewhere[how]
    assert complaints == []
    for name in FAMILIES:
        model = model_class(name)
        expected = {
            "AutoConfig": config_class(name),
            "AutoModel": model,
            "AutoModelForSemanticSegmentation": model,
            "AutoProcessor": model.processor_class,
            "AutoImageProcessor": model.image_processor_class,
        }
        for auto_class, cls in expected.items():
            assert found[name][auto_class] == f"{cls.__module__}.{cls.__name__}"
            again = Path(f"{folders[name]}-again-{auto_class}-{how}")
            assert (again / SHIM.name).read_text() == SHIM.read_text()
        assert found[name]["pipeline"] == "PartSegmentationPipeline"


@pytest.mark.slow
def test_without_the_package_an_error_says_what_is_missing(elsewhere):
    found, _ = elsewhere["missing"]
    assert found.keys() == FAMILIES.keys()
    for errors in found.values():
        assert errors
        for error in errors.values():
            assert error.startswith(
                "ImportError: This model needs the Python package ovparts_hf, which is not installed."
            )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_points_to_classes_that_the_shim_has(family, folders):
    config, processor = (
        json.loads((folders[family] / name).read_text()) for name in ("config.json", "processor_config.json")
    )
    model = model_class(family)
    maps = {
        "AutoConfig": (config, model.config_class),
        "AutoModel": (config, model),
        "AutoModelForSemanticSegmentation": (config, model),
        "AutoProcessor": (processor, model.processor_class),
        "AutoImageProcessor": (processor["image_processor"], model.image_processor_class),
    }
    for auto_class, (saved, cls) in maps.items():
        module, name = saved["auto_map"][auto_class].split(".")
        assert module + ".py" == SHIM.name
        assert getattr(ovparts_auto, name) is cls


def test_where_something_was_loaded_from_does_not_stay_in_it(folders, tmp_path):
    """transformers puts the repository's name before the module's; a copy must not point back."""
    shutil.copytree(folders["clipseg"], tmp_path / "model")
    config_file = tmp_path / "model" / "config.json"
    settings = json.loads(config_file.read_text())
    own = dict(settings["auto_map"])
    settings["auto_map"] = {key: f"someone/model--{value}" for key, value in own.items()}
    config_file.write_text(json.dumps(settings))
    config_class("clipseg").from_pretrained(tmp_path / "model").save_pretrained(tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "config.json").read_text())["auto_map"] == own


@pytest.mark.parametrize("part", ["config", "model", "processor", "image_processor"])
def test_the_shim_is_pushed_too(part, tmp_path, monkeypatch):
    pushed = []
    fake = SimpleNamespace(
        create_repo=lambda repo_id, **_: SimpleNamespace(repo_id=repo_id),
        create_commit=lambda operations, **_: pushed.extend(each.path_in_repo for each in operations),
    )
    monkeypatch.setattr(hub, "_hf_api", fake)
    model, processor = load_model("toy")
    given = {
        "config": model.config,
        "model": model,
        "processor": processor,
        "image_processor": processor.image_processor,
    }
    given[part].save_pretrained(str(tmp_path), push_to_hub=True, repo_id="someone/model")
    assert SHIM.name in pushed and len(pushed) > 1
