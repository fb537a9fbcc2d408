"""Making the weights of exported graphs smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx_ir
    import openvino

_FEWEST = 1024
"""Weights with fewer numbers stay as they are: they take no room, and are often biases and scales."""
_LARGEST_INT8 = 127


def onnx_quantizer() -> Any:
    """Makes weights of linear layers int8, one scale for each output, and what enters these layers when they run."""
    from transformers.exporters import OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer

    return OnnxRuntimeQuantizer(OnnxRuntimeDynamicConfig(op_types_to_quantize=["MatMul", "Gemm"], per_channel=True))


def onnx_to_float16(graph: onnx_ir.Graph) -> None:
    """Stores weights in float16; the first thing that happens to them is that they become float32 again."""
    import onnx_ir

    for weight in list(graph.initializers.values()):
        if weight.dtype != onnx_ir.DataType.FLOAT or weight.const_value.size < _FEWEST:
            continue
        half = onnx_ir.tensor(weight.const_value.numpy().astype(np.float16), name=f"{weight.name}.half")
        stored = onnx_ir.Value(name=half.name, type=onnx_ir.TensorType(half.dtype), shape=half.shape, const_value=half)
        cast = onnx_ir.node("Cast", [stored], {"to": onnx_ir.DataType.FLOAT})
        graph.insert_before(graph[0], cast)
        weight.replace_all_uses_with(cast.outputs[0])
        del graph.initializers[weight.name]
        graph.register_initializer(stored)


def openvino_to_int8(model: openvino.Model) -> None:
    """Stores matrices that something is multiplied by in int8, with one scale for each output."""
    from openvino import opset14 as operations

    for product in model.get_ordered_ops():
        weight = product.input_value(1).get_node() if product.get_type_name() == "MatMul" else None
        if weight is None or weight.get_type_name() != "Constant" or weight.get_output_size() != 1:
            continue
        values = weight.data
        if values.dtype != np.float32 or values.ndim != 2 or values.size < _FEWEST:
            continue
        axis = 1 if product.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(values).max(axis, keepdims=True), np.finfo(np.float32).tiny) / _LARGEST_INT8
        stored = operations.constant(np.round(values / scale).astype(np.int8))
        scaled = operations.multiply(operations.convert(stored, "f32"), operations.constant(scale.astype(np.float32)))
        product.input(1).replace_source_output(scaled.output(0))
