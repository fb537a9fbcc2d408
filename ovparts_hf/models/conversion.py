"""Reading released checkpoints so that every key is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import CheckpointError


def first_line(error: Exception) -> str:
    """What an exception says, without the pages that some append."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@dataclass
class KeyReport:
    """What became of each key of a checkpoint.

    Attributes:
        used: Checkpoint key -> the model's key that took its tensor.
        derivable: Keys whose content follows from the configuration, and was checked.
        unused: Key -> why nothing reads it.
    """

    used: dict[str, str] = field(default_factory=dict)
    derivable: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """One line of counts, then a line for each key that was not used."""
        total = len(self.used) + len(self.derivable) + len(self.unused)
        lines = [
            f"{total} keys: {len(self.used)} used, {len(self.derivable)} derivable, {len(self.unused)} unused.",
            *(f"  derivable  {key}" for key in self.derivable),
            *(f"  unused     {key}: {reason}" for key, reason in self.unused.items()),
        ]
        return "\n".join(lines)


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads the tensors of a detectron2 `.pth` (under "model") or of a safetensors file.

    Only tensors are unpickled.

    Raises:
        CheckpointError: The file is missing, unreadable, or holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file. Give a .pth, .pt, .bin or .safetensors checkpoint.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    except Exception as error:  # torch.load raises many kinds: a bad zip, a bad pickle, a refused type, an early end
        raise CheckpointError(f"{path} cannot be read as tensors only: {first_line(error)}") from error
    state = content.get("model", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no state dict of tensors, neither at its top nor under 'model'.")
    return dict(state)


def load_accounted(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], report: KeyReport) -> None:
    """Loads tensors by `report.used`; the rest must already be in the report.

    Raises:
        CheckpointError: A key is unexplained, a key of the model is missing, or a shape differs.
    """
    own = model.state_dict()
    explained = {*report.used, *report.derivable, *report.unused}
    problems = [f"unexpected {key}" for key in tensors if key not in explained]
    problems += [f"missing for {key}" for key in own if key not in report.used.values()]
    for key, name in report.used.items():
        if name not in own:
            problems.append(f"{key} has no place in the model")
        elif own[name].shape != tensors[key].shape:
            problems.append(f"{key} has shape {list(tensors[key].shape)}, the model needs {list(own[name].shape)}")
    if problems:
        listed = "\n  ".join(problems)
        raise CheckpointError(
            f"The checkpoint does not fit the model ({len(problems)} problems). Was it trained from another base model?"
            f"\n  {listed}"
        )
    model.load_state_dict({name: tensors[key] for key, name in report.used.items()}, strict=True)
