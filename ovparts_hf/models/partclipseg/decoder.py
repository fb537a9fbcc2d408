"""PartCLIPSeg's decoder: of what CLIPSeg's gives for a part's name and for an object's, a part class is made."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init
from transformers.models.clipseg.modeling_clipseg import CLIPSegAttention

from ..clipseg.modeling_clipseg import DecoderInputs, PartDecoder, all_pairs
from .configuration_partclipseg import PartCLIPSegConfig


class Names(NamedTuple):
    """The different names that classes are made of; "none" is counted behind both.

    Attributes:
        features: (names, projection dim).
        parts: (classes + 1,) int64, the position of each class's part name, or of its whole name without an object.
        objects: Likewise of its object name, or again of its whole name.
        is_whole: (classes + 1,) bool, which have no object; of "none", whether any class has none.
    """

    features: torch.Tensor
    parts: torch.Tensor
    objects: torch.Tensor
    is_whole: torch.Tensor

    @classmethod
    def of(cls, class_features: torch.Tensor, name_ids: torch.Tensor | None) -> Names:
        """Reads (classes, 3, projection dim); `name_ids` say which names are the same, without them each is another."""
        names = class_features[:, :2]
        count = names.shape[0]
        if name_ids is None or torch.compiler.is_compiling():
            whole = (names[:, 1] == 0).all(-1)
            positions = torch.arange(2 * count, device=names.device).view(2, count)
            features = names.transpose(0, 1).flatten(0, 1)
        else:
            ids = name_ids.cpu().numpy()
            whole = torch.from_numpy(ids[:, 1] < 0)
            ids = np.where(ids < 0, ids[:, :1], ids)
            _, first, flat = np.unique(ids, return_index=True, return_inverse=True)
            positions = torch.from_numpy(flat.reshape(ids.shape).T.copy())
            features = names.flatten(0, 1).index_select(0, torch.from_numpy(first).to(names.device, non_blocking=True))
        none = torch.arange(features.shape[0], features.shape[0] + 1, device=positions.device)
        parts, objects = torch.cat([positions, none.expand(2, 1)], dim=1)
        return cls(features, parts, objects, torch.cat([whole, whole.any()[None]]))

    def used_by(self, selected: torch.Tensor) -> torch.Tensor:
        """(images, classes + 1) bool -> (images, names + 1) bool: the names that these classes are made of."""
        used = F.one_hot(torch.stack([self.parts, self.objects]), len(self.features) + 1).sum(0)
        return selected.float() @ used.float() > 0


class Pairs(NamedTuple):
    """Which names are decoded for which image.

    Attributes:
        images: (pairs,) int64.
        names: (pairs,) int64.
        numbers: (images, names + 1) int64, which pair an image and a name are.
    """

    images: torch.Tensor
    names: torch.Tensor
    numbers: torch.Tensor

    @classmethod
    def all(cls, images: int, names: int, device: torch.device) -> Pairs:
        """Every name for every image."""
        numbers = torch.arange(images * names, device=device).view(images, names)
        return cls(*all_pairs(images, names, device), numbers)

    @classmethod
    def needed(cls, needed: torch.Tensor) -> Pairs:
        """Those that are True in (images, names) bool."""
        images, names = needed.nonzero(as_tuple=True)
        return cls(images, names, (needed.flatten().cumsum(0) - 1).view_as(needed))

    def to(self, device: torch.device) -> Pairs:
        """The same on another device."""
        return Pairs(*(each.to(device, non_blocking=True) for each in self))


class PartObjectDecoder(PartDecoder):
    """Decodes names, and part classes from what was decoded for their part name and their object name."""

    def __init__(self, config: PartCLIPSegConfig):
        super().__init__(config)
        width, dim = config.reduce_dim, config.projection_dim
        self.condition_projection = nn.Linear(2 * dim, dim)
        self.condition_film_mul = nn.Linear(dim, width)
        self.condition_film_add = nn.Linear(dim, width)
        self.part_projection = nn.Linear(width, width)
        self.object_projection = nn.Linear(width, width, bias=False)
        self.part_object_convolution = copy.deepcopy(self.transposed_convolution)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module in (getattr(self, "part_projection", None), getattr(self, "object_projection", None)):
            bound = (2 * module.in_features) ** -0.5  # they are halves of one layer
            init.uniform_(module.weight, -bound, bound)

    def decode_names(self, prepared: DecoderInputs, pairs: Pairs) -> torch.Tensor:
        """(pairs, patches, width)."""
        return self.some_at_a_time(lambda *each: self.states(prepared, *each)[:, 1:], pairs.images, pairs.names)

    def name_logits(self, patches: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """(pairs, patches, width) -> (pairs, height, width)."""
        return self.some_at_a_time(lambda each: self.enlarge(each, self.transposed_convolution, grid), patches)

    def class_logits(
        self,
        patches: torch.Tensor,
        parts: torch.Tensor,
        objects: torch.Tensor,
        classes: torch.Tensor,
        conditions: torch.Tensor,
        grid: tuple[int, int],
    ) -> torch.Tensor:
        """(n, height, width), from what was decoded for a part and for an object, under the condition of a class.

        `parts` and `objects` (n,) are positions in `patches`, `classes` (n,) those in `conditions` (classes, 2, dim).
        """
        condition = self.condition_projection(conditions.flatten(1))
        scale, shift = self.condition_film_mul(condition), self.condition_film_add(condition)
        part_half, object_half = self.part_projection(patches), self.object_projection(patches)

        def decode(parts: torch.Tensor, objects: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
            mixed = part_half.index_select(0, parts) + object_half.index_select(0, objects)
            scaled = scale.index_select(0, classes)[:, None] * mixed + shift.index_select(0, classes)[:, None]
            return self.enlarge(scaled, self.part_object_convolution, grid)

        return self.some_at_a_time(decode, parts, objects, classes)


def attention_maps(attention: CLIPSegAttention, states: torch.Tensor) -> torch.Tensor:
    """Weights of a self-attention, averaged over its heads: (n, tokens, width) -> (n, tokens, tokens)."""
    shape = (*states.shape[:2], attention.num_heads, attention.head_dim)
    queries, keys = (project(states).view(shape).transpose(1, 2) for project in (attention.q_proj, attention.k_proj))
    return (queries * attention.scale @ keys.transpose(-1, -2)).softmax(-1).mean(1)
