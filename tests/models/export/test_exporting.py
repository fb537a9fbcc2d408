"""What is refused before and while a model is exported, and what a folder of one may be used for."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.models.export import exporting, formats
from ovparts_hf.models.export.exporting import check_export, export_model
from ovparts_hf.models.loading import load_model
from ovparts_hf.toy.world import draw

from .test_equality import NAMES, inputs_of

NO_OPTIONS = {"int8": False, "fp16": False, "overwrite": False}


@pytest.fixture
def export(exported):
    return exported("clipseg", "onnx")


def test_unknown_formats_and_options_that_exclude_each_other_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'tflite'; choose one of \['onnx', 'openvino'\]"):
        check_export(tmp_path / "out", "tflite", **NO_OPTIONS)
    with pytest.raises(ConfigurationError, match="int8 and fp16 exclude each other"):
        check_export(tmp_path / "out", "onnx", **{**NO_OPTIONS, "int8": True, "fp16": True})


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(formats.FORMATS, "onnx", ("onnx", "not_there"))
    with pytest.raises(
        ConfigurationError, match=r'needs not_there, not installed here: pip install "ovparts_hf\[onnx\]"'
    ):
        check_export(tmp_path / "out", "onnx", **NO_OPTIONS)


def test_only_an_export_is_ever_replaced(export, tmp_path):
    other = tmp_path / "mine"
    other.mkdir()
    check_export(other, "onnx", **NO_OPTIONS)
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="is no exported model; name another folder"):
        check_export(other, "onnx", **{**NO_OPTIONS, "overwrite": True})
    with pytest.raises(ConfigurationError, match="holds an exported model; name another folder, or say --overwrite"):
        check_export(export.folder, "onnx", **NO_OPTIONS)
    check_export(export.folder, "onnx", **{**NO_OPTIONS, "overwrite": True})


def test_an_exporter_that_fails_leaves_nothing_and_is_quoted(export, tmp_path, monkeypatch):
    class Failing:
        def export(self, *args):
            raise RuntimeError("no lowering\nfor this")

    monkeypatch.setattr("transformers.exporters.OnnxExporter", Failing)
    with pytest.raises(ConfigurationError, match="cannot be exported to onnx: no lowering$"):
        export_model(export.model, export.processor, tmp_path / "out", "onnx")
    assert not list(tmp_path.iterdir())


def test_the_folder_says_what_it_holds(export):
    assert json.loads((export.folder / "config.json").read_text())["export_format"] == "onnx"
    assert set(json.loads((export.folder / "export.json").read_text())["components"]) == {"image", "text"}
    assert export.model.config.export_format is None
    assert not list(export.folder.glob("model.*"))


def test_an_export_is_no_model_to_train_save_or_export(export, tmp_path):
    export.exported.set_trainable("none")
    for use in (
        lambda: export.exported.set_trainable("D"),
        lambda: export.exported.save_pretrained(tmp_path),
        lambda: export_model(export.exported, export.processor, tmp_path / "out", "onnx"),
        lambda: export.exported.to(dtype=torch.bfloat16),
        lambda: export.exported.to("xpu:3"),
    ):
        with pytest.raises(ConfigurationError, match="xport"):
            use()


def test_images_of_another_size_are_refused(export):
    words = export.exported.encode_vocabulary(export.processor, NAMES)
    with pytest.raises(
        ConfigurationError, match=r"pixel_values has shape \[1, 3, 32, 32\]; this export takes \[images, "
    ):
        export.exported(torch.zeros(1, 3, 32, 32), **words)


def test_a_vocabulary_can_be_stored(export):
    export.exported.store_vocabulary(export.processor, NAMES[:2], progress=False)
    try:
        assert export.exported.vocabulary == NAMES[:2]
        assert export.exported(**inputs_of(export.processor)).logits.shape[1] == 2
    finally:
        export.exported.forget_vocabulary()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"export_format": "dynamo"}, "export.json 'dynamo'"),
        ({"components": {"image": {"file": "../image.onnx"}}}, "may only name files in the same folder"),
        ({"components": 3}, "is not that of an export"),
    ],
)
def test_a_manifest_of_something_else_is_refused(export, tmp_path, change, message):
    folder = shutil.copytree(export.folder, tmp_path / "changed")
    manifest = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(OVPartsError, match=message):
        load_model(folder)


def test_damaged_files_are_one_sentence(export, tmp_path):
    folder = shutil.copytree(export.folder, tmp_path / "damaged")
    (folder / "text.onnx").write_bytes(b"no graph")
    with pytest.raises(OVPartsError, match="No weights at"):
        load_model(folder)


def test_predict_finds_the_same_parts(export, tmp_path, capsys):
    image = draw("validation", 8).image
    image.save(tmp_path / "image.png")
    arguments = ["predict", str(tmp_path / "image.png"), "--parts", "duck: head, wing", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--model", str(export.folder), "--runtime", "onnx"]) == 0
    expected = PartSegmenter(export.model, export.processor)(image, {"duck": ["head", "wing"]}).label_map
    found = Image.open(tmp_path / "out" / "image" / "label_map.png")
    assert found.size == expected.shape[::-1] and expected.max() >= 0
    result = PartSegmenter.from_pretrained(export.folder)(image, {"duck": ["head", "wing"]})
    assert (result.label_map == expected).mean() > 0.999


@pytest.mark.parametrize(
    ("runtime", "message"),
    [("torch", "is an export for onnx"), ("openvino", "ovparts export openvino MODEL OUT"), ("tpu", "'tpu'; choose")],
)
def test_a_runtime_that_the_model_is_not_made_for_is_refused(export, runtime, message):
    with pytest.raises(ConfigurationError, match=message):
        PartSegmenter.from_pretrained(export.folder, runtime=runtime)


def test_the_command_says_where_the_export_is(export, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(exporting, "export_model", lambda *args, **options: calls.append((*args[2:], options)))
    out = tmp_path / "out"
    assert main(["export", "openvino", "toy-trained", str(out), "--fp16"]) == 0
    assert calls == [(out, "openvino", {"int8": False, "fp16": True, "overwrite": False})]
    assert capsys.readouterr().out == f"{out}\n"
