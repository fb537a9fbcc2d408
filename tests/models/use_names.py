"""What a fresh process runs for `test_auto.py`: first imports one of the two libraries, then uses the names of both.

Argument: the folder of a saved CLIPSeg. It does so for either library, each in a fork of its own, which spares
importing PyTorch again.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.garbage import look_less_often

HEAVY = {"torch", "transformers", "datasets", "accelerate", "numpy", "PIL"}
ALONE = ("AutoModelForSemanticSegmentation", "AutoProcessor", "AutoImageProcessor", "pipeline", "for_model")
"""Entry points that are also used in a process of their own, where nothing else was used before."""


def main(folder: str) -> None:
    look_less_often()
    in_a_fork("light", import_is_light)
    import torchvision  # noqa: F401  which takes most of the time that imports take

    for first in ("ovparts_hf", "transformers"):
        assert not {"ovparts_hf", "transformers"} & set(sys.modules)
        in_a_fork(first, partial(use_everything, first, folder))


def import_is_light() -> None:
    import ovparts_hf  # noqa: F401

    assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)


def use_everything(first: str, folder: str) -> None:
    if first == "transformers":
        from transformers import AutoModel, pipeline  # noqa: F401
    import ovparts_hf

    assert {*ovparts_hf.__all__, "__version__"} <= set(dir(ovparts_hf))
    from transformers import AutoImageProcessor, AutoModel, AutoProcessor, pipeline  # noqa: F401

    entries = entry_points(folder)
    for name in ALONE if first == "ovparts_hf" else ():
        in_a_fork(name, entries[name])
    for entry in entries.values():
        entry()
    every_name()


def entry_points(folder: str) -> dict[str, Callable[[], Any]]:
    """Each way of loading the model, and what must come of it."""
    import transformers

    def load(name: str, *expected: str) -> Any:
        return lambda: check(getattr(transformers, name).from_pretrained(folder), *expected)

    def use_pipeline(task: str, expected: str) -> None:
        check(transformers.pipeline(task, folder, device="cpu"), expected)

    def make_config() -> None:
        config = transformers.AutoConfig.for_model("ovparts_clipseg")
        check(config, "CLIPSegPartConfig")
        check(pickle.loads(pickle.dumps(config)), "CLIPSegPartConfig")

    def make_model() -> None:
        config = transformers.AutoConfig.for_model("ovparts_maskformer")
        check(transformers.AutoModel.from_config(config), "MaskFormerForPartSegmentation")

    def list_tasks() -> None:
        assert "part-segmentation" in transformers.pipelines.get_supported_tasks()

    def use_a_loaded_model() -> None:
        from ovparts_hf import CLIPSegForPartSegmentation, PartSegmentationProcessor

        model = CLIPSegForPartSegmentation.from_pretrained(folder)
        processor = PartSegmentationProcessor.from_pretrained(folder)
        found = transformers.pipeline("part-segmentation", model=model, processor=processor, device="cpu")
        check(found, "PartSegmentationPipeline")

    return {
        "AutoConfig": load("AutoConfig", "CLIPSegPartConfig"),
        "AutoModel": load("AutoModel", "CLIPSegForPartSegmentation"),
        "AutoModelForSemanticSegmentation": load("AutoModelForSemanticSegmentation", "CLIPSegForPartSegmentation"),
        "AutoProcessor": load("AutoProcessor", "PartSegmentationProcessor"),
        "AutoImageProcessor": load("AutoImageProcessor", "PartSegmentationImageProcessor"),
        "pipeline": lambda: use_pipeline("part-segmentation", "PartSegmentationPipeline"),
        "image-segmentation": lambda: use_pipeline("image-segmentation", "ImageSegmentationPipeline"),
        "for_model": make_config,
        "from_config": make_model,
        "get_supported_tasks": list_tasks,
        "a loaded model": use_a_loaded_model,
    }


def every_name() -> None:
    """Each public name is what it is at home, and the rooms are attributes of the package."""
    import ovparts_hf

    names: dict[str, Any] = {}
    exec("from ovparts_hf import *", names)
    assert len(ovparts_hf.__all__) > 20
    for name in ovparts_hf.__all__:
        value = names[name]
        assert value is getattr(ovparts_hf, name)
        if isinstance(value, type):
            assert pickle.loads(pickle.dumps(value)) is value
    assert ovparts_hf.errors is importlib.import_module("ovparts_hf.errors")
    assert not hasattr(ovparts_hf, "PartSegmentor") and not hasattr(ovparts_hf, "_nothing")


def check(found: Any, expected: str) -> None:
    assert type(found).__name__ == expected, type(found)


def in_a_fork(name: str, function: Callable[[], Any]) -> None:
    """Calls a function in a process where no model has been used yet."""
    child = os.fork()
    if child == 0:
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name


if __name__ == "__main__":
    main(*sys.argv[1:])
