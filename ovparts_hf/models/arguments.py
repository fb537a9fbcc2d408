"""Arguments of models: what is refused, and which rows a class mask selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers.utils import TransformersKwargs

from ..errors import OVPartsError


def check_not_empty(class_names: Sequence[str]) -> None:
    """Refuses a vocabulary without classes."""
    if not class_names:
        raise OVPartsError("The vocabulary is empty; give at least one class name.")


def check_keywords(keywords: Mapping[str, Any]) -> None:
    """Refuses what `forward` takes by `**kwargs` and neither it nor transformers knows, such as a misspelt argument."""
    unknown = sorted(keywords.keys() - TransformersKwargs.__annotations__.keys())
    if unknown:
        raise TypeError(f"forward() got unexpected keyword arguments {unknown}; see help(model.forward) for its own.")


def selected_rows(class_mask: torch.Tensor | None, images: int, num_classes: int, rows: int) -> torch.Tensor:
    """Which rows, those of the classes and of "none" after them, to decode for each image: (images, rows) bool.

    It stays where `class_mask` is: asking a CPU which they are does not make an accelerator wait.
    """
    selected = torch.ones(images, rows, dtype=torch.bool, device=None if class_mask is None else class_mask.device)
    if class_mask is not None:
        selected[:, :num_classes] = class_mask
    return selected
