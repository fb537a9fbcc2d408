"""Writing a model's computations as files for ONNX Runtime or OpenVINO."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from ...errors import ConfigurationError
from ...utils.files import atomic_folder, first_line
from ..modeling_utils import PartSegmentationModel
from .exported import runner_of
from .formats import MANIFEST, TENSORS, check_format
from .graphs import Example, Tensors
from .weights import onnx_quantizer, onnx_to_float16, openvino_to_int8


def export_model(
    model: PartSegmentationModel,
    processor: Any,
    out: str | Path,
    export_format: str,
    *,
    int8: bool = False,
    fp16: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes a model so that ONNX Runtime or OpenVINO can run it, to be read by `load_model` or `PartSegmenter`.

    Args:
        model: A model of this library.
        processor: Its processor, which is saved along.
        out: Folder to make.
        export_format: "onnx" or "openvino".
        int8: Whether weights of linear layers become 8-bit integers; for ONNX, what enters these layers, too.
        fp16: Whether weights are stored in half precision. They are computed with in float32.
        overwrite: Whether an earlier export in `out` is replaced.

    Raises:
        ConfigurationError: There is no such format, packages are missing, options exclude each other, `out` holds
            something, or the model cannot be exported.
    """
    check_export(out, export_format, int8=int8, fp16=fp16, overwrite=overwrite)
    if model.config.export_format is not None:
        raise ConfigurationError("This model is an export itself; export the one that it was made from.")
    from transformers.exporters import ExportedModel

    with torch.no_grad():
        found = runner_of(type(model)).examples(model.eval(), processor)
    graphs = tqdm(found.items(), desc="Exporting", unit="graph")
    components = {name: _export(example, export_format, int8, fp16) for name, example in graphs}
    config = copy.deepcopy(model.config)
    config.export_format = export_format
    with atomic_folder(Path(out)) as folder:
        ExportedModel(components, export_format, config).save_pretrained(folder)
        processor.save_pretrained(folder)
        save_file(_tensors_to_keep(model), folder / TENSORS)


def check_export(out: str | Path, export_format: str, *, int8: bool, fp16: bool, overwrite: bool) -> None:
    """Raises the errors of `export_model` that do not depend on the model."""
    check_format(export_format)
    if int8 and fp16:
        raise ConfigurationError("int8 and fp16 exclude each other; choose one.")
    out = Path(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST).is_file():
        raise ConfigurationError(f"{out} exists and is no exported model; name another folder.")
    if not overwrite:
        raise ConfigurationError(f"{out} holds an exported model; name another folder, or say --overwrite.")


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters print their steps, and log and warn of what nobody can change."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _tensors_to_keep(model: PartSegmentationModel) -> Tensors:
    kept = {"class_features": getattr(model, "class_features", None)}
    kept |= {name: tensor for name, tensor in model.state_dict().items() if name.startswith("prompts.")}
    return {name: tensor.contiguous() for name, tensor in kept.items() if tensor is not None}


def _export(example: Example, export_format: str, int8: bool, fp16: bool) -> Any:
    from transformers.exporters import OnnxConfig, OnnxExporter, OpenVINOConfig, OpenVINOExporter

    dynamic_shapes = example.dynamic_shapes
    if export_format == "onnx":
        quantizer = onnx_quantizer() if int8 else None
        kind, config = OnnxExporter, OnnxConfig(dynamic_shapes=dynamic_shapes, quantizer=quantizer)
    else:
        kind, config = OpenVINOExporter, OpenVINOConfig(dynamic_shapes=dynamic_shapes, compress_to_fp16=fp16)
    try:
        with quiet():
            component = kind().export(example.graph, example.inputs, config).components["model"]
    except Exception as error:  # exporters raise many kinds
        raise ConfigurationError(f"This model cannot be exported to {export_format}: {first_line(error)}") from error
    if fp16 and export_format == "onnx":
        onnx_to_float16(component.program.graph)
    if int8 and export_format == "openvino":
        openvino_to_int8(component.program)
    return component
