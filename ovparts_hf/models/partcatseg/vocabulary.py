"""A vocabulary as PartCATSeg sees it: its classes, and the different names of their parts and objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from ...errors import TaxonomyError
from ...taxonomy import split_part_class

LEVELS = 3
"""A class is encoded as itself, as the name of its part and as that of its object."""


def level_names(class_name: str) -> tuple[str, str, str]:
    """ "dog's ear" -> "dog's ear", "ear", "dog"; a class that names no object is its own part and its own object."""
    try:
        object_name, part_name = split_part_class(class_name)
    except TaxonomyError:
        return class_name, class_name, class_name
    return class_name, part_name, object_name


class Groups(NamedTuple):
    """Which classes share a name: a class of each group, the group of each class, and the weight of each group."""

    first: torch.Tensor
    of_class: torch.Tensor
    weights: torch.Tensor | None


@dataclass(frozen=True)
class Vocabulary:
    """What the aggregator scores: part classes, and names of parts and objects; "none" is the last of each.

    Attributes:
        classes: (classes + 1, templates, D).
        names: (parts + objects + 1, templates, D), the different names of parts, then those of objects.
        part_ids: (classes + 1,) int64, the part of each class, counted from 0; the number of parts for "none".
        object_ids: Likewise for objects.
        weights: (parts + objects + 1,), what each name counts where it occurs several times; None where none does.
    """

    classes: torch.Tensor
    names: torch.Tensor
    part_ids: torch.Tensor
    object_ids: torch.Tensor
    num_parts: int
    weights: torch.Tensor | None

    @classmethod
    def of(cls, class_features: torch.Tensor, none: torch.Tensor, static: bool = False) -> Vocabulary:
        """From (classes, `LEVELS` * templates, D) and (1, templates, D) of "none".

        `static`: no shape may depend on values; names that several classes share then occur several times.
        """
        levels = class_features.unflatten(1, (LEVELS, -1))
        parts, objects = _groups(class_features, static)
        names = [levels[:, level].index_select(0, each.first) for level, each in enumerate((parts, objects), start=1)]
        weights = None
        if parts.weights is not None:
            weights = torch.cat([parts.weights, objects.weights, parts.weights.new_ones(1)])
        return cls(
            torch.cat([levels[:, 0], none]),
            torch.cat([*names, none]),
            *(torch.cat([each.of_class, _count(each.first)]) for each in (parts, objects)),
            parts.first.shape[0],
            weights,
        )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def device(self) -> torch.device:
        return self.classes.device


def _count(rows: torch.Tensor) -> torch.Tensor:
    """How many rows there are, (1,) int64; as a tensor, so that a graph may be for any number."""
    return torch.arange(rows.shape[0] + 1, device=rows.device)[-1:]


_known = WeakTensorKeyDictionary()


def _groups(class_features: torch.Tensor, static: bool) -> tuple[Groups, Groups]:
    """The groups of parts and of objects; they are found once for each vocabulary, as an accelerator waits for that."""
    parts, objects = (level[:, 0].detach() for level in class_features.unflatten(1, (LEVELS, -1)).unbind(1)[1:])
    if static:
        return _weigh(parts), _weigh(objects)
    version = None if class_features.is_inference() else class_features._version
    found_for, found = _known.get(class_features, (None, None))
    if found is None or found_for != version:
        found = _group(parts), _group(objects)
        _known[class_features] = version, found
    return found


def _group(features: torch.Tensor) -> Groups:
    """Groups of equal rows (classes, D), in the order of their first classes."""
    rows, of_class = torch.unique(features, dim=0, return_inverse=True)
    classes = torch.arange(len(features), device=features.device)
    first = classes.new_full((len(rows),), len(features)).scatter_reduce(0, of_class, classes, "amin")
    first, order = first.sort()
    return Groups(first, order.argsort()[of_class], None)


def _weigh(features: torch.Tensor) -> Groups:
    """Every class as a group that counts less the more classes share its name: no shape depends on the values."""
    classes = torch.arange(features.shape[0], device=features.device)
    same = (features[:, None] == features).all(-1)
    return Groups(classes, classes, 1 / same.sum(1).to(features.dtype))
