"""Loading what `save_pretrained` wrote so that no weight stays random, or is no number, without a word."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointError, OVPartsError
from ..utils.files import first_line
from .checkpoints import Problem, group_problems, non_finite, without_load_report

_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def load_pretrained(
    load: Callable[..., Any],
    name_or_path: str | Path | None,
    new_parts: Sequence[str] | None = None,
    may_mismatch: bool = False,
    **kwargs: Any,
) -> tuple[Any, dict[str, Any]]:
    """A model of transformers and its loading information, by `load`, the `from_pretrained` of its class.

    Of a pretrained model only weights whose names begin with one of `new_parts` may be missing, and it may have others
    besides. Without `new_parts` every weight must be there, and no other.

    Raises:
        CheckpointError: Weights are missing, unexpected, of another shape or not finite, or cannot be read.
    """
    _check_index(name_or_path)
    try:
        with without_load_report():
            model, info = load(
                name_or_path,
                **{**kwargs, "trust_remote_code": False},
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OVPartsError, OSError):
        raise
    except Exception as error:  # transformers and safetensors raise many kinds on files that are damaged or do not fit
        if torch.empty(0).is_meta:  # nothing can be loaded where no tensor has values; the error says so
            raise
        raise CheckpointError(f"The weights of {str(name_or_path)!r} cannot be loaded: {first_line(error)}") from error
    counters = "num_batches_tracked"  # of batch norm, whose values nothing reads
    missing = [key for key in info["missing_keys"] if not key.endswith(counters)]
    problems = [Problem("missing", key) for key in missing if not key.startswith(tuple(new_parts or ()))]
    if new_parts is None:
        problems += [Problem("unexpected", key) for key in info["unexpected_keys"]]
    if not may_mismatch:
        for key, stored, own in info["mismatched_keys"]:
            problems.append(Problem("mismatched", key, f" of shape {list(stored)}, the model needs {list(own)}"))
    problems += [Problem("not finite", key) for key in non_finite(model.state_dict())]
    if problems:
        raise CheckpointError(
            f"The weights of {str(name_or_path)!r} do not fit a {type(model).__name__} ({len(problems)} problems). "
            f"Save or download them again, whole.{group_problems(problems)}"
        )
    return model, info


def _check_index(name_or_path: str | Path | None) -> None:
    """Refuses an index of weights that names files outside its folder, or is none."""
    for path in [Path(name_or_path) / name for name in _INDICES] if name_or_path is not None else ():
        if not path.is_file():
            continue
        try:
            files = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path} is no index of weights: {first_line(error)}") from error
        values = list(files.values()) if isinstance(files, Mapping) else [None]
        for file in values:
            if not isinstance(file, str) or file in ("", ".", "..") or Path(file).name != file or "\\" in file:
                raise CheckpointError(f"{path} names {file!r}; it may only name files in the same folder.")
            if not (path.parent / file).is_file():
                raise CheckpointError(f"{path} names {file!r}, which is missing. Save or download the model again.")


def check_finite(tensors: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Raises a CheckpointError that names the tensors with a value that is no finite number."""
    if problems := [Problem("not finite", key) for key in non_finite(tensors)]:
        raise CheckpointError(f"{str(source)!r} has weights that are no numbers.{group_problems(problems)}")
