"""Checks an installed wheel, outside of any checkout and without extras; `make wheel` runs it in a new environment.

It must hold everything that commands read, put nothing else beside the package, and name the extra that is missing.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

import ovparts_hf
from ovparts_hf import PartSegmentation
from ovparts_hf.errors import OVPartsError


def check_files() -> None:
    """One package at the top, with its recipes, builders and their cards."""
    names = [path.as_posix() for path in files("ovparts_hf") or [] if "__pycache__" not in path.parts]
    tops = {name.split("/")[0] for name in names if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ovparts_hf"}, tops
    package = Path(ovparts_hf.__file__).parent
    assert "site-packages" in package.parts and not package.is_symlink(), f"{package} is no installed package"
    assert (package / "py.typed").is_file()
    recipes = sorted((package / "recipes").glob("*/*/*.yaml"))
    assert len(recipes) >= 30, recipes
    from ovparts_hf.dataset_builders import BUILDERS
    from ovparts_hf.training import PromptTuningArguments, TrainArguments

    for recipe in recipes:
        (PromptTuningArguments if recipe.stem.startswith("cptco") else TrainArguments).from_recipe(recipe)
    for name in BUILDERS:
        assert (package / "dataset_builders" / name.replace("-", "_") / "README.md").is_file(), name


def check_imports() -> None:
    """Every module can be imported; those of the web page need an extra."""
    for module in pkgutil.walk_packages(ovparts_hf.__path__, "ovparts_hf."):
        if not module.name.startswith("ovparts_hf.app.") or find_spec("gradio") is not None:
            import_module(module.name)


def check_commands(folder: Path) -> None:
    """Help, a prediction and a model's card, by `python -m ovparts_hf` in an empty folder."""
    image = np.full((64, 64, 3), 255, dtype=np.uint8)
    image[20:50, 10:54] = (200, 30, 30)
    Image.fromarray(image).save(folder / "truck.png")
    for arguments in (
        ["--help"],
        ["predict", "truck.png", "--parts", "truck: body, wheel", "--out", "found"],
        ["card", "--out", "cards"],
    ):
        command = [sys.executable, "-m", "ovparts_hf", *arguments]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    assert list((folder / "found").rglob("label_map.png")) and list((folder / "cards").glob("*.md"))


def check_missing_extras() -> list[str]:
    """What needs an extra that is not installed says so in one sentence; returns the extras that were tried."""
    from ovparts_hf.app import check_gradio
    from ovparts_hf.inference import decoding, tta, video
    from ovparts_hf.models.export.formats import check_format

    image, labels = Image.new("RGB", (4, 4)), np.zeros((4, 4), dtype=np.int16)
    result = PartSegmentation(image, labels, ("dog's ear",), np.ones(1, dtype=np.float32))
    needs: dict[str, tuple[str, Callable[[], object]]] = {
        "crf": ("pydensecrf", tta.load_crf),
        "demo": ("gradio", check_gradio),
        "onnx": ("onnx", lambda: check_format("onnx")),
        "openvino": ("openvino", lambda: check_format("openvino")),
        "rankseg": ("rankseg", decoding._load_rankseg),
        "supervision": ("supervision", result.to_supervision),
        "video": ("av", video.check_installed),
    }
    missing = {extra: call for extra, (module, call) in needs.items() if find_spec(module) is None}
    for extra, call in missing.items():
        try:
            call()
        except OVPartsError as error:
            assert f'pip install "ovparts_hf[{extra}]"' in str(error) and "\n" not in str(error), error
        else:
            raise AssertionError(f"{extra} is missing, and nothing says so")
    return list(missing)


def main() -> None:
    check_files()
    check_imports()
    with tempfile.TemporaryDirectory() as folder:
        check_commands(Path(folder))
    extras = ", ".join(check_missing_extras())
    print(f"ovparts_hf {ovparts_hf.__version__} works under Python {sys.version.split()[0]}; not installed: {extras}.")  # noqa: T201


if __name__ == "__main__":
    main()
