"""From decoded names to the scores of classes and to the losses of PartCLIPSeg."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ...errors import ConfigurationError
from ..clipseg.modeling_clipseg import DecoderInputs, all_pairs
from ..part_object import LevelTargets, level_losses, level_targets
from .configuration_partclipseg import PartCLIPSegConfig
from .decoder import Names, Pairs, PartObjectDecoder, attention_maps
from .losses import ControlLosses, attended_cells, control_losses, image_targets


@dataclass
class Decoded:
    """Names as they were decoded for a batch, from which scores and losses follow.

    Attributes:
        decoder: Decodes them.
        prepared: What they are made of.
        names: Which they are.
        pairs: For which images.
        conditions: (classes + 1, 2, projection dim), see `PartObjectDecoder.class_logits`.
        grid: (height, width) in patches.
        patches: (pairs, patches, width).
    """

    decoder: PartObjectDecoder
    prepared: DecoderInputs
    names: Names
    pairs: Pairs
    conditions: torch.Tensor
    grid: tuple[int, int]
    patches: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.patches = self.decoder.decode_names(self.prepared, self.pairs.to(self.conditions.device))

    def some_scores(self, selected: torch.Tensor) -> torch.Tensor:
        """(images, classes + 1, height, width), "none" being the last class; -inf where `selected`, on the CPU, is not.

        Nothing else is decoded.
        """
        is_whole = self.names.is_whole
        tables = []
        for chosen, score in ((selected & ~is_whole, self._of_classes), (selected & is_whole, self._of_names)):
            if chosen.any():
                tables.append(_table(score, *chosen.nonzero(as_tuple=True), chosen.shape))
        return tables[0] if len(tables) == 1 else torch.maximum(*tables)

    def all_scores(self, selected: torch.Tensor) -> torch.Tensor:
        """As `some_scores`, by computations that do not depend on values."""
        shape, every = selected.shape, all_pairs(*selected.shape, self.conditions.device)
        of_classes, of_names = (score(*every).unflatten(0, shape) for score in (self._of_classes, self._of_names))
        scores = torch.where(self.names.is_whole[:, None, None], of_names, of_classes)
        return scores.masked_fill(~selected.to(scores.device)[..., None, None], -math.inf)

    def name_scores(self) -> torch.Tensor:
        """(images, names + 1, height, width), "none" being the last name; -inf where one was not decoded."""

        def score(*_: torch.Tensor) -> torch.Tensor:
            return self.decoder.name_logits(self.patches, self.grid)

        return _table(score, self.pairs.images, self.pairs.names, self.pairs.numbers.shape)

    def _of_classes(self, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        parts, objects = (self._pairs(images, of[classes]) for of in (self.names.parts, self.names.objects))
        classes = classes.to(self.conditions.device, non_blocking=True)
        return self.decoder.class_logits(self.patches, parts, objects, classes, self.conditions, self.grid)

    def _of_names(self, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        numbers = self._pairs(images, self.names.parts[classes])
        return self.decoder.name_logits(self.patches.index_select(0, numbers), self.grid)

    def _pairs(self, images: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
        return self.pairs.numbers[images, names].to(self.conditions.device, non_blocking=True)

    # ---- training ----------------------------------------------------------------------------------------------------

    def loss(
        self,
        scores: torch.Tensor,
        labels: torch.Tensor,
        object_labels: torch.Tensor | None,
        config: PartCLIPSegConfig,
    ) -> torch.Tensor:
        """Of `some_scores`, all levels and attention; the labels are those of `forward`."""
        has_object = ~self.names.is_whole[:-1]
        if not has_object.any():
            raise ConfigurationError(
                'PartCLIPSeg learns parts of objects, but none of the classes is one: spell them as "dog\'s ear".'
            )
        part_names, part_ids = _numbered(self.names.parts[:-1], has_object)
        object_names, object_ids = _numbered(self.names.objects[:-1], has_object)
        targets = level_targets(labels, object_labels, part_ids, object_ids, scores.shape[-2:])
        names = self.name_scores()
        part_logits = names[:, part_names.to(names.device)]
        object_logits = names[:, [*object_names.tolist(), -1]]
        skip = config.skip_empty_background
        levels = level_losses(scores, part_logits, object_logits, targets, config.none_weight, skip)
        loss = levels.classes_on_parts + levels.classes_on_background
        loss = loss + config.object_loss_weight * levels.objects + config.part_loss_weight * levels.parts
        if config.separation_weight or config.enhancement_weight:
            control = self._control_losses(targets, object_ids, config)
            loss = loss + config.separation_weight * control.separation
            loss = loss + config.enhancement_weight * control.enhancement
        if not skip and (targets.objects >= 0).all():
            loss = loss.nan_to_num()
        return loss

    def _control_losses(
        self, targets: LevelTargets, object_ids: torch.Tensor, config: PartCLIPSegConfig
    ) -> ControlLosses:
        """In single precision, whatever autocast computes in."""
        count = len(targets.classes)
        found = [image_targets(targets, i, self.grid, config.drop_last_object) for i in range(count)]
        sizes = [len(image.class_ids) for image in found]
        images = torch.arange(count).repeat_interleave(torch.tensor(sizes))
        classes = torch.cat([image.class_ids for image in found]).cpu()
        if not len(classes):
            return ControlLosses(*self.conditions.new_zeros(2, dtype=torch.float32))
        selected = torch.zeros(count, len(self.names.parts), dtype=torch.bool)
        selected[images, classes] = True
        pairs = Pairs.needed(self.names.used_by(selected))
        on_device = pairs.to(self.conditions.device)
        layer = len(self.decoder.layers) - 1 if config.attention_layer is None else config.attention_layer
        states = self.decoder.states(self.prepared, on_device.images, on_device.names, entering=layer)
        with torch.autocast(states.device.type, enabled=False):
            maps = attention_maps(self.decoder.layers[layer].self_attn, states.float())
            of_part, of_object = (
                maps.index_select(0, pairs.numbers[images, of[classes]].to(maps.device))
                for of in (self.names.parts, self.names.objects)
            )
            attended = attended_cells((of_part + of_object) / 2, torch.cat([image.class_masks for image in found]))
            own = object_ids.to(maps.device) if config.own_parts_only else None
            return control_losses(attended.split(sizes), found, own, config.attention_threshold)


def _numbered(names: torch.Tensor, has_object: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The different names of classes with an object, ascending, and for each class its position in them, or -1."""
    different = names[has_object].unique()
    return different, torch.searchsorted(different, names).masked_fill(~has_object, -1)


def _table(
    score: Callable[..., torch.Tensor], images: torch.Tensor, columns: torch.Tensor, shape: torch.Size
) -> torch.Tensor:
    """The scores of pairs, row by row, as (images, columns, height, width); -inf for others."""
    values = score(images, columns)
    if len(images) == math.prod(shape):
        return values.unflatten(0, shape)
    table = values.new_full((*shape, *values.shape[1:]), -math.inf)
    table[images.to(values.device), columns.to(values.device)] = values
    return table
