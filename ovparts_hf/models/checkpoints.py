"""Reading released checkpoints so that every key is accounted for."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from ..errors import CheckpointError
from ..utils.content import recognise_file
from ..utils.files import first_line, user_path
from .auto import FAMILIES, family_facts, family_of

Model = TypeVar("Model", bound=PreTrainedModel)

_MOST_LINES = 10


_PROMPTS = ("prompt_learner.",)
_CONVERTED = ("clip.", "aggregator.", "pixel_level_module.")
"""Beginnings of keys that only tuned prompts have, and that only models of transformers have."""


class Problem(NamedTuple):
    """What is wrong with a key of a checkpoint or of a model, such as "missing"."""

    kind: str
    key: str
    detail: str = ""


def group_problems(problems: Sequence[Problem]) -> str:
    """At most ten lines, each indented on a new line: those with the same beginning of their keys share one."""
    for depth in (None, 4, 3, 2, 1):
        groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
        for problem in sorted(problems):
            groups[problem.kind, ".".join(problem.key.split(".")[:depth])].append(problem)
        if len(groups) <= _MOST_LINES:
            break
    lines = []
    for (kind, prefix), members in groups.items():
        first = min(members, key=lambda problem: not problem.key.endswith("weight"))  # whose shape says most
        many = f"{prefix}...: {len(members)} tensors, such as "
        lines.append(f"{kind} {many if len(members) > 1 else ''}{first.key}{first.detail}".strip())
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES - 1 :] = [f"and {len(lines) - _MOST_LINES + 1} more groups"]
    return "".join(f"\n  {line}" for line in lines)


def non_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the floating-point tensors with a value that is infinite or not a number."""
    return [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not tensor.is_meta and not _is_finite(tensor)
    ]


def _is_finite(tensor: torch.Tensor) -> bool:
    """Of finite numbers only the sum can be finite; that of large ones need not be, so that each is looked at then."""
    values = tensor.float() if tensor.itemsize == 1 else tensor
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())


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
    path = user_path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file. Give a .pth, .pt, .bin or .safetensors checkpoint.")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            check_sums(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    except Exception as error:  # torch.load raises many kinds: a bad zip, a bad pickle, a refused type, an early end
        reason = first_line(error)
        if isinstance(error, pickle.UnpicklingError):  # whose message advises to run what the file holds
            kind = recognise_file(path) or ""
            reason = f"it is {kind}" if "web page" in kind or "pointer" in kind else "it is damaged, or holds more"
        raise CheckpointError(f"{path} cannot be read as tensors only: {reason}") from error
    state = content.get("model", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state or not all(isinstance(key, str) for key in state):
        raise CheckpointError(f"{path} holds no state dict of tensors, neither at its top nor under 'model'.")
    problems = [Problem(flaw, key) for key, value in state.items() if (flaw := _flaw(value))]
    if problems:
        raise CheckpointError(f"{path} has entries that are no usable weights.{group_problems(problems)}")
    return dict(state)


def check_sums(path: Path) -> None:
    """Raises a CheckpointError if a part of a file of `torch.save` has changed, at which `torch.load` does not look."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged: the checksum of {damaged!r} is wrong. Download it again.")


def _flaw(value: Any) -> str | None:
    """Why something is no weight, if so. Integers may be: counters and indices are saved with the weights."""
    if not isinstance(value, torch.Tensor):
        return f"not a tensor but {type(value).__name__}:"
    if value.is_meta or value.layout is not torch.strided or value.is_quantized or value.is_complex():
        kinds = ["meta" * value.is_meta, "quantized" * value.is_quantized, "complex" * value.is_complex()]
        return next(filter(None, kinds), "sparse")
    return "not finite" if value.is_floating_point() and not _is_finite(value) else None


def _explanation(tensors: Mapping[str, torch.Tensor], model: torch.nn.Module) -> str:
    """A guess why a checkpoint does not fit a model: it may be that of another."""
    config = getattr(model, "config", None)  # the prompts alone have none
    own = "" if config is None else family_of(config)
    family = recognise_family(tensors)
    if family is not None and family != own:
        return f"This looks like a {family_facts(family).title} checkpoint."
    if family is None and config is not None and any(key.startswith(_PROMPTS) for key in tensors):
        return "This looks like a checkpoint of tuned prompts."
    if family is None and any(key.startswith(_CONVERTED) for key in tensors):
        return "This looks like a model of transformers; those need no conversion."
    return "Was it trained from another base model?"


def recognise_family(keys: Iterable[str]) -> str | None:
    """The family whose authors' checkpoints have such keys; None if there is none."""
    names = list(keys)
    facts = {family: family_facts(family) for family in FAMILIES}
    found = [family for family in facts if any(key.startswith(facts[family].checkpoint_keys) for key in names)]
    contained = {facts[family].contains for family in found}
    return next((family for family in found if family not in contained), None)


def load_accounted(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], report: KeyReport) -> None:
    """Loads what the report says; it must explain every key of the checkpoint and fill every key of the model."""
    own, state = model.state_dict(), report.state
    explained = {*report.used, *report.derivable, *report.unused}
    problems = [Problem("unexpected", key) for key in tensors if key not in explained]
    problems += [Problem("missing for", name) for name in own if name not in state]
    for key, names in report.used.items():
        if not tensors[key].is_floating_point():
            problems.append(Problem("not floating-point", key, f" but {tensors[key].dtype}"))
        for name in names:
            if name not in own:
                problems.append(Problem("", key, " has no place in the model"))
            elif own[name].shape != state[name].shape:
                shapes = f" has shape {list(state[name].shape)}, the model needs {list(own[name].shape)}"
                problems.append(Problem("", key, shapes))
    if problems:
        raise CheckpointError(
            f"The checkpoint does not fit the model ({len(problems)} problems). {_explanation(tensors, model)}"
            f"{group_problems(problems)}"
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
