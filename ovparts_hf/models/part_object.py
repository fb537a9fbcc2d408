"""Part names and object names, which some models score besides part classes: "ear" and "dog" of "dog's ear"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..errors import ConfigurationError, TaxonomyError
from ..taxonomy import split_part_class

NO_OBJECT = -1
_LEFT_OUT = -1e4  # instead of minus infinity, which times zero is not a number


@dataclass(frozen=True)
class PartObjectNames:
    """The different names in a vocabulary, and which of them each class is made of.

    Attributes:
        part_names: Of the classes that name an object, sorted.
        object_names: Likewise.
        other_names: Classes that are no part of an object, as free text or an object itself, if they are not among the
            object names.
        part_ids: For each class the position of its part name, or of its whole name, in `names`.
        object_ids: For each class the position of its object name in `names`; `NO_OBJECT` without an object.
    """

    part_names: tuple[str, ...]
    object_names: tuple[str, ...]
    other_names: tuple[str, ...]
    part_ids: tuple[int, ...]
    object_ids: tuple[int, ...]

    @classmethod
    def of(cls, class_names: Sequence[str]) -> PartObjectNames:
        """Splits part classes ("dog's ear") into names; what other classes name as their object is one itself."""
        objects = {_split(name)[1] for name in class_names}
        pairs = [(name, None) if name in objects else _split(name) for name in class_names]
        part_names = sorted({part for part, object_name in pairs if object_name is not None})
        object_names = sorted({object_name for _, object_name in pairs if object_name is not None})
        whole = [part for part, object_name in pairs if object_name is None]
        other_names = [name for name in dict.fromkeys(whole) if name not in object_names]
        ids_of_parts = {name: i for i, name in enumerate(part_names)}
        ids = {name: i for i, name in enumerate([*object_names, *other_names], start=len(part_names))}
        return cls(
            tuple(part_names),
            tuple(object_names),
            tuple(other_names),
            tuple(ids[part] if object_name is None else ids_of_parts[part] for part, object_name in pairs),
            tuple(NO_OBJECT if object_name is None else ids[object_name] for _, object_name in pairs),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the ids: of parts, of objects, others."""
        return self.part_names + self.object_names + self.other_names

    def ids(self) -> torch.Tensor:
        """(classes, 2) int64: `part_ids` and `object_ids`."""
        return torch.tensor([self.part_ids, self.object_ids]).T


def _split(class_name: str) -> tuple[str, str | None]:
    """Part name and object name, or the whole name and None."""
    try:
        object_name, part_name = split_part_class(class_name)
    except TaxonomyError:
        return class_name, None
    return part_name, object_name


class LevelTargets(NamedTuple):
    """What each pixel shows: (batch, height, width) int64; -1 where it shows none of the classes, parts or objects."""

    classes: torch.Tensor
    parts: torch.Tensor
    objects: torch.Tensor


def level_targets(
    labels: torch.Tensor,
    object_labels: torch.Tensor | None,
    part_ids: torch.Tensor,
    object_ids: torch.Tensor,
    size: tuple[int, int],
) -> LevelTargets:
    """Labels of part classes as targets for part classes, part names and objects, at `size` by nearest neighbour.

    Args:
        labels: (batch, height, width) class ids; other values mean "none".
        object_labels: Of the same shape, where whole objects are: at each pixel any class of the object that is there.
            None: objects are where their labelled parts are.
        part_ids: (classes,) int64, for each class the position of its part name among the part logits.
        object_ids: (classes,) int64, likewise of its object; -1 for a class without an object.
        size: (height, width) of the logits.

    Raises:
        ConfigurationError: The shapes do not fit.
    """
    if object_labels is None:
        object_labels = labels
    if labels.dim() != 3 or object_labels.shape != labels.shape:
        raise ConfigurationError(
            f"labels has shape {list(labels.shape)}, object_labels {list(object_labels.shape)}; both must be (batch, "
            "height, width), with one label map for each image."
        )
    classes, of_objects = (_resized(each, size, len(part_ids)) for each in (labels, object_labels))
    return LevelTargets(classes, _looked_up(part_ids, classes), _looked_up(object_ids, of_objects))


def _resized(labels: torch.Tensor, size: tuple[int, int], num_classes: int) -> torch.Tensor:
    labels = F.interpolate(labels[:, None].float(), size=size, mode="nearest")[:, 0].long()
    return torch.where((labels >= 0) & (labels < num_classes), labels, -1)


def _looked_up(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The entries of a table; -1, which is its end, stays."""
    return F.pad(ids.to(labels), (0, 1), value=-1)[labels]


class LevelLosses(NamedTuple):
    """Scalar losses of part classes on pixels of parts and on pixels without an object, of parts, and of objects."""

    classes_on_parts: torch.Tensor
    classes_on_background: torch.Tensor
    parts: torch.Tensor
    objects: torch.Tensor


def level_losses(
    class_logits: torch.Tensor,
    part_logits: torch.Tensor,
    object_logits: torch.Tensor,
    targets: LevelTargets,
    none_weight: float,
    skip_empty_background: bool = True,
) -> LevelLosses:
    """Binary cross-entropies of PartCLIPSeg and PartCATSeg, each the mean over its pixels and channels.

    Pixels of an object without a part label count for the objects only. The losses on pixels of parts are 0 where there
    are none; that on the background is 0 where there is no object.

    Args:
        class_logits: (batch, classes + 1, height, width), the last of "none".
        part_logits: (batch, part names, height, width).
        object_logits: (batch, objects + 1, height, width), the last of "none".
        targets: From `level_targets`, of the same size.
        none_weight: Weight of "none" against 1 for any other channel.
        skip_empty_background: Whether the loss on the background is also 0 where there is no background; otherwise it
            is not a number there.
    """
    is_part, none = targets.classes >= 0, targets.objects < 0
    on_parts = on_background = parts = class_logits.new_zeros((), dtype=torch.float32)
    if is_part.any():
        on_parts = _bce(class_logits, targets.classes, is_part, none, none_weight)
        parts = _bce(part_logits, targets.parts, is_part)
    if not none.all() and (none.any() or not skip_empty_background):
        on_background = _bce(class_logits, targets.classes, none, none, none_weight)
    everywhere = torch.ones_like(none)
    objects = _bce(object_logits, targets.objects, everywhere, none, none_weight)
    return LevelLosses(on_parts, on_background, parts, objects)


def _bce(
    logits: torch.Tensor,
    targets: torch.Tensor,
    pixels: torch.Tensor,
    none: torch.Tensor | None = None,
    none_weight: float = 1.0,
) -> torch.Tensor:
    """Of logits (batch, channels, height, width) at some pixels; with `none`, the last channel is right where it is."""
    scores = logits.float().clamp(min=_LEFT_OUT).movedim(1, -1)[pixels]
    expected = targets[pixels][:, None] == torch.arange(scores.shape[1], device=scores.device)
    weight = scores.new_ones(scores.shape[1])
    if none is not None:
        expected[:, -1] = none[pixels]
        weight[-1] = none_weight
    return F.binary_cross_entropy_with_logits(scores, expected.to(scores), weight=weight)
