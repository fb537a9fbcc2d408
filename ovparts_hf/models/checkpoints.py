"""Reading released checkpoints so that every key is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from ..errors import CheckpointError
from ..utils.hub import first_line

Model = TypeVar("Model", bound=PreTrainedModel)


@dataclass
class KeyReport:
    """What became of each key of a checkpoint: the model's keys that took its tensor (`used`), that its content follows
    from the configuration (`derivable`), or why nothing reads it (`unused`); and of the model where what the checkpoint
    lacks comes from (`added`), and its tensors (`state`).
    """

    used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    derivable: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    state: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    def use(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Notes that a key became these tensors of the model."""
        self.used[key] = tuple(tensors)
        self.state.update(tensors)

    def summary(self) -> str:
        """One line of counts, then a line for each key that was not used."""
        total = len(self.used) + len(self.derivable) + len(self.unused)
        lines = [
            f"{total} keys: {len(self.used)} used, {len(self.derivable)} derivable, {len(self.unused)} unused.",
            *(f"  derivable  {key}" for key in self.derivable),
            *(f"  unused     {key}: {reason}" for key, reason in self.unused.items()),
            *(f"  added      {name}: {reason}" for name, reason in self.added.items()),
        ]
        return "\n".join(lines)


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a detectron2 `.pth` (under "model") or of a safetensors file; only tensors are unpickled."""
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
    """Loads what the report says; it must explain every key of the checkpoint and fill every key of the model."""
    own, state = model.state_dict(), report.state
    explained = {*report.used, *report.derivable, *report.unused}
    problems = [f"unexpected {key}" for key in tensors if key not in explained]
    problems += [f"missing for {name}" for name in own if name not in state]
    for key, names in report.used.items():
        for name in names:
            if name not in own:
                problems.append(f"{key} has no place in the model")
            elif own[name].shape != state[name].shape:
                shapes = f"{list(state[name].shape)}, the model needs {list(own[name].shape)}"
                problems.append(f"{key} has shape {shapes}")
    if problems:
        listed = "\n  ".join(problems)
        raise CheckpointError(
            f"The checkpoint does not fit the model ({len(problems)} problems). Was it trained from another base model?"
            f"\n  {listed}"
        )
    model.load_state_dict(state, strict=True)


def convert_checkpoint(
    model_class: type[Model],
    checkpoint: str | Path,
    config: PreTrainedConfig,
    account_keys: Callable[[Mapping[str, torch.Tensor], Any], KeyReport],
) -> tuple[Model, KeyReport]:
    """Builds the model of an original's checkpoint in evaluation mode, and says what became of each key."""
    tensors = read_checkpoint(checkpoint)
    report = account_keys(tensors, config)
    model = model_class(config)
    load_accounted(model, tensors, report)
    return model.eval(), report


@contextmanager
def without_load_report() -> Iterator[None]:
    """Keeps transformers from listing every layer that a pretrained model lacks."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
