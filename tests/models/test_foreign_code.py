"""Code that lies beside a model is never run, whatever is answered on the keyboard."""

import ast
import builtins
import json
import shutil
from pathlib import Path

import pytest

import ovparts_hf
from ovparts_hf import PartSegmenter
from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.inference.objects import PretrainedObjectSegmenter
from ovparts_hf.models.loading import TOY_FOLDER, load_config, load_model
from ovparts_hf.training.prompt_tuning.features import StockCLIP

EVIL = """
from pathlib import Path
Path({marker!r}).touch()
from transformers import CLIPConfig as Evil
"""
AUTO_CLASSES = (
    "AutoConfig",
    "AutoModel",
    "AutoModelForSemanticSegmentation",
    "AutoModelForImageSegmentation",
    "AutoImageProcessor",
    "AutoProcessor",
    "AutoVideoProcessor",
    "AutoFeatureExtractor",
)
AUTO_MAP = {**dict.fromkeys(AUTO_CLASSES, "evil.Evil"), "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
FILES = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
LOADERS = {
    "load_model": load_model,
    "load_config": load_config,
    "catseg": lambda folder: load_model(folder, "catseg"),
    "partcatseg": lambda folder: load_model(folder, "partcatseg"),
    "zsseg": lambda folder: load_model(folder, "zsseg"),
    "segmenter": lambda folder: PartSegmenter.from_pretrained(folder, device="cpu"),
    "objects": lambda folder: PartSegmenter.from_pretrained(device="cpu", object_segmenter=folder),
    "pipeline": lambda folder: PretrainedObjectSegmenter.load(str(folder)),
    "clip": StockCLIP.load,
}


@pytest.fixture
def answers_yes(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: "y")


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("toy", ["trained", "clip", "clipseg"])
@pytest.mark.parametrize("model_type", [None, "evil"])
def test_no_loader_runs_it(model_type, toy, loader, tmp_path, answers_yes):
    folder, marker = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(TOY_FOLDER / toy, folder)
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    for path in [folder / name for name in FILES if (folder / name).exists()]:
        content = json.loads(path.read_text())
        content["auto_map"] = AUTO_MAP
        for key in ("tokenizer_class", "image_processor_type", "processor_class", "model_type"):
            if model_type is not None and key in content:
                content[key] = model_type.title() if "class" in key or "processor" in key else model_type
        path.write_text(json.dumps(content))
    try:
        LOADERS[loader](folder)
    except OVPartsError as error:
        assert len(str(error).splitlines()) <= 11
    assert not marker.exists()


def test_an_unknown_model_with_code_is_refused(tmp_path, answers_yes):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": AUTO_MAP}))
    with pytest.raises(ConfigurationError, match="No model configuration"):
        load_config(tmp_path)


def test_every_call_forbids_it():
    """`from_pretrained` of transformers' classes, and `pipeline`, ask on the keyboard unless they are told."""
    own = {"PartSegmenter", "LearnedPrompts", "cls", "super()"}
    checked = 0
    for path in Path(ovparts_hf.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func)
            loads = name.endswith(".from_pretrained") and name.removesuffix(".from_pretrained") not in own
            if loads or name == "pipeline":
                options = {each.arg: ast.unparse(each.value) for each in call.keywords}
                assert options.get("trust_remote_code") == "False", f"{path}:{call.lineno}"
                checked += 1
    assert checked >= 8
