"""Weights of exported graphs become smaller, and scores stay near."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ovparts_hf.models.export.weights import onnx_quantizer, onnx_to_float16, openvino_to_int8
from ovparts_hf.models.loading import load_model

from .test_equality import NAMES, inputs_of


def load_onnx(exporter: Any, path: Path) -> Any:
    import onnx_ir

    program = exporter.load_program(path)
    onnx_ir.external_data.load_to_model(program)
    return program


def onnx_float16(exporter: Any, path: Path) -> Any:
    program = load_onnx(exporter, path)
    onnx_to_float16(program.graph)
    return program


def onnx_int8(exporter: Any, path: Path) -> Any:
    return onnx_quantizer().quantize(load_onnx(exporter, path), {}, "onnx")


def openvino_int8(exporter: Any, path: Path) -> Any:
    program = exporter.load_program(path)
    openvino_to_int8(program)
    return program


CASES = [
    ("clipseg", "onnx", "image.onnx", onnx_float16, 0.6, 0.9999),
    ("clipseg", "onnx", "image.onnx", onnx_int8, 0.5, 0.99),
    ("catseg", "openvino", "openvino_image.xml", openvino_int8, 0.8, 0.99),
]


@torch.no_grad()
@pytest.mark.parametrize(("name", "export_format", "file", "shrink", "share", "agreement"), CASES)
def test_files_are_smaller_and_scores_are_near(
    name: str,
    export_format: str,
    file: str,
    shrink: Callable[[Any, Path], Any],
    share: float,
    agreement: float,
    exported: Callable[..., Any],
    tmp_path: Path,
) -> None:
    from transformers.exporters import OnnxExporter, OpenVINOExporter  # which takes a second

    model, processor, _, _, folder = exported(name, export_format)
    exporter = OnnxExporter if export_format == "onnx" else OpenVINOExporter
    small = tmp_path / "small"
    shutil.copytree(folder, small)
    program = shrink(exporter, folder / file)
    data = exporter.program_files(file)[1]
    (small / data).unlink()
    exporter.save_program(program, small / file)
    assert (small / data).stat().st_size < share * (folder / data).stat().st_size

    words, inputs = model.encode_vocabulary(processor, NAMES), inputs_of(processor)
    scores, expected = (each(**inputs, **words).logits.flatten() for each in (load_model(small)[0], model))
    assert not torch.equal(scores, expected)
    assert torch.corrcoef(torch.stack([scores, expected]))[0, 1] > agreement
