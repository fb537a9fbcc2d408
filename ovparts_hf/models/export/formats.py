"""The formats that a model can be exported to: what each needs, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

import torch

from ...errors import ConfigurationError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

FORMATS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}
"""Each format, which is also the name of an extra of this package -> the packages that it needs."""

MANIFEST = "export.json"
"""transformers' file that says what is in the folder of an export."""
TENSORS = "tensors.safetensors"
"""What a model has besides its graphs: features of its own vocabulary, and learned prompts."""


def check_format(export_format: str) -> None:
    """Raises a ConfigurationError if there is no such format, or a package that it needs is missing."""
    if export_format not in FORMATS:
        raise ConfigurationError(f"Models cannot be exported to {export_format!r}; choose one of {list(FORMATS)}.")
    missing = [package for package in FORMATS[export_format] if find_spec(package) is None]
    if find_spec("transformers.exporters") is None:
        missing.append("transformers 5.24")
    if missing:
        raise ConfigurationError(
            f"{export_format} needs {' and '.join(missing)}, not installed here: "
            f'pip install "ovparts_hf[{export_format}]".'
        )


def runner_options(export_format: str) -> dict[str, Any]:
    """How a graph is run: with as many threads as torch may use, and in float32 where a processor has bfloat16."""
    threads = torch.get_num_threads()
    if export_format == "openvino":
        return {"config": {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}}
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    return {"session_options": options}


def call_in_thread(function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Calls what compiles graphs, in a thread that ends with the call.

    OpenVINO gives the thread that compiles a model an alternate stack for its signal handlers, and frees the stack
    with the model, but cannot take it from a thread that is not the one that frees. The next signal that the thread
    handles (Ctrl-C, or the end of a child process once torch's `DataLoader` had workers) is then a segmentation fault.
    """
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function, *args, **kwargs).result()
