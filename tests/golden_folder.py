"""Stored runs of the originals: where they are, and what is in them.

The folders of `tests/goldens` also serve as tiny models for all kinds of tests. Parity tests take `golden(family)`
instead: where the environment variable `OVPARTS_GOLDENS` names another folder, it is read from there, or skipped if it
holds no such family. Files may be in the family's folder or in its folder `tiny`. A new family gets a folder in
`tests/goldens`, a class like those in `tests/models/*/goldens.py` and a `test_goldens.py` beside it.
"""

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.testing import assert_close

COMMITTED = Path(__file__).parent / "goldens"
T = TypeVar("T", bound="Golden")


class Golden:
    """One family's stored run."""

    def __init__(self, family: str, root: Path = COMMITTED):
        self.folder = root / family
        if not self.folder.is_dir():
            pytest.skip(f"{root} has no {family}", allow_module_level=True)

    def path(self, name: str) -> Path:
        """The file or folder of that name."""
        tiny = self.folder / "tiny" / name
        return tiny if tiny.exists() else self.folder / name

    @property
    def checkpoint(self) -> Path:
        return self.path("checkpoint.pth")

    @cached_property
    def facts(self) -> dict[str, Any]:
        return json.loads(self.path("config.json").read_text())

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        return load_file(self.path("inputs.safetensors"))

    @cached_property
    def outputs(self) -> dict[str, torch.Tensor]:
        return load_file(self.path("outputs.safetensors"))

    def tensors(self) -> dict[str, torch.Tensor]:
        return torch.load(self.checkpoint, weights_only=True)["model"]

    def numbered(self, prefix: str) -> list[torch.Tensor]:
        """The inputs `prefix`0, `prefix`1, ..."""
        names = sorted((name for name in self.inputs if re.fullmatch(re.escape(prefix) + r"\d+", name)), key=_number)
        assert names
        return [self.inputs[name] for name in names]

    @property
    def full_size_keys(self) -> dict[str, dict[str, list[int]]]:
        """From the end of a file's name ("ade", "" if there is only one) to key -> shape of a full-size checkpoint."""
        keys = {}
        for path in sorted(self.folder.glob("fullsize_keys*.json")):
            content = json.loads(path.read_text())
            name = path.stem.removeprefix("fullsize_keys").removeprefix("_")
            keys[name] = {key: shape for key, (shape, _) in content.get("keys", content).items()}
        return keys

    def check(self, name: str, actual: torch.Tensor, atol: float | None = None) -> None:
        """Compares with an output, of which only each n-th row and column or the first n may be stored.

        Without `atol`, with ten times the rounding noise of the stored run, and eight units in the last place.
        """
        stored = next(key for key in self.outputs if re.fullmatch(re.escape(name) + r"(_every\d+|_first\d+)?", key))
        if found := re.search(r"_every(\d+)$", stored):
            actual = actual[..., :: int(found[1]), :: int(found[1])]
        if found := re.search(r"_first(\d+)$", stored):
            actual = actual[: int(found[1])]
        self.compare(stored, actual, self.outputs[stored], atol)

    def compare(self, name: str, actual: torch.Tensor, expected: torch.Tensor, atol: float | None = None) -> None:
        if atol is None:
            atol = 10 * self.facts["float32_vs_float64_max_abs_diff"].get(name, 0) + 1e-6
        assert_close(actual, expected, atol=atol, rtol=1e-6, msg=lambda text: f"{name}: {text}")

    def check_gradients(self, model: torch.nn.Module, report: Any, prefix: str = "grad.", atol: Any = None) -> None:
        """Compares the stored gradients, whatever became of the checkpoint's keys that they belong to.

        Args:
            model: With gradients.
            report: Of its conversion.
            prefix: What the names of the gradients start with.
            atol: A function from the stored gradient to the tolerance, or None as for `check`.
        """
        parameters = dict(model.named_parameters())
        names = [name for name in self.outputs if name.startswith(prefix)]
        assert names
        for name in names:
            own = [parameters[part].grad for part in report.used[name.removeprefix(prefix)]]
            expected = self.outputs[name]
            self.compare(name, torch.cat(own).reshape(expected.shape), expected, atol and atol(expected))


def find_folder(family: str) -> Path | None:
    """Where the stored run of a family is that parity tests read, if there is one."""
    folder = _root() / family
    return folder if folder.is_dir() else None


def golden(family: str, kind: type[T] = Golden) -> T:
    """What parity tests compare with; skips their module if there is no such family."""
    return kind(family, _root())


def resized(scores: torch.Tensor, size: Any) -> torch.Tensor:
    """Scores (batch, classes, height, width) at another size."""
    size = size.tolist() if isinstance(size, torch.Tensor) else size
    return F.interpolate(scores, size=tuple(size), mode="bilinear", align_corners=False)


def _root() -> Path:
    return Path(os.environ.get("OVPARTS_GOLDENS", COMMITTED))


def _number(name: str) -> int:
    return int(re.search(r"\d+$", name)[0])
