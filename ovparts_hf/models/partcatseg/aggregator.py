"""The cost aggregator of PartCATSeg (Choi et al., CVPR 2025, section 3).

CAT-Seg's aggregator looks at names of parts and of objects; what it finds for the two names of a class is compared with
the text of the class, and a second aggregator looks at that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from ..catseg.aggregator import (
    Aggregator,
    AggregatorLayer,
    GuidedLinearAttention,
    at_once,
    to_maps,
    to_tokens,
)
from .configuration_partcatseg import PartCATSegConfig
from .vocabulary import Vocabulary

_EPS = 1e-8


class LevelScores(NamedTuple):
    """Scores of part classes and of names, and the correlations that they come from, averaged over templates.

    `classes` is (decoded classes, height, width), `names` (parts + objects + 1, height, width); the correlations are
    (classes + 1, tokens) of classes and (objects + 1, tokens) of objects.
    """

    classes: torch.Tensor
    names: torch.Tensor
    class_correlation: torch.Tensor
    object_correlation: torch.Tensor


def leave_out_others(levels: LevelScores, vocabulary: Vocabulary, decoded: torch.Tensor) -> LevelScores:
    """Adds the classes that were not decoded, with minus infinity: so score they, and the names that only they have."""
    ids = torch.arange(len(vocabulary), device=decoded.device), vocabulary.part_ids, vocabulary.object_ids
    counts = len(vocabulary), vocabulary.num_parts + 1, len(levels.object_correlation)
    classes, parts, objects = (
        decoded.new_ones(count, dtype=torch.bool).index_fill(0, of_class[decoded], False)
        for count, of_class in zip(counts, ids)
    )
    names = torch.cat([parts[:-1], objects])
    scores = levels.classes.new_full((len(vocabulary), *levels.classes.shape[1:]), -math.inf)
    return LevelScores(
        scores.index_copy(0, decoded, levels.classes),
        levels.names.masked_fill(names[:, None, None], -math.inf),
        levels.class_correlation.masked_fill(classes[:, None], -math.inf),
        levels.object_correlation.masked_fill(objects[:, None], -math.inf),
    )


class PartAggregator(Aggregator):
    """From features of an image by CLIP and DINOv2, and of a vocabulary, to a score map for each class."""

    def __init__(self, config: PartCATSegConfig):
        super().__init__(config)
        self.composition = PairedLinear(2 * config.hidden_size, config.projection_dim)
        self.class_embedding = ClassEmbedding(config)
        self.class_layers = nn.ModuleList(AggregatorLayer(config) for _ in range(config.num_hidden_layers))
        if config.class_attention == "query":
            for layer in (*self.layers, *self.class_layers):
                layer.across_classes.attention = GuidedQueryAttention(
                    config.hidden_size, config.text_guidance_size, config.num_attention_heads
                )

    def forward(
        self,
        image_features: torch.Tensor,
        vocabulary: Vocabulary,
        backbone_features: Sequence[torch.Tensor],
        decoded: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(D, grid, grid), a vocabulary, (1, channels, h, w) of feature maps -> (`decoded` classes, height, width)."""
        image_guidance, decoder_guidance = self.project_guidance(backbone_features)
        _, classes, _ = self._volumes(image_features, vocabulary, image_guidance, decoded)
        return self.decoder(to_maps(classes, self.grid), decoder_guidance)

    def score_levels(
        self,
        image_features: torch.Tensor,
        vocabulary: Vocabulary,
        backbone_features: Sequence[torch.Tensor],
        decoded: torch.Tensor | None = None,
    ) -> LevelScores:
        """What training compares with labels, and with each other."""
        image_guidance, decoder_guidance = self.project_guidance(backbone_features)
        names, classes, correlation = self._volumes(image_features, vocabulary, image_guidance, decoded)
        objects = F.normalize(vocabulary.names[vocabulary.num_parts :], dim=-1).mean(1)
        return LevelScores(
            self.decoder(to_maps(classes, self.grid), decoder_guidance),
            self.decoder(to_maps(names, self.grid), decoder_guidance),
            correlation,
            objects @ F.normalize(image_features, dim=0).flatten(1),
        )

    def _volumes(
        self,
        image_features: torch.Tensor,
        vocabulary: Vocabulary,
        image_guidance: torch.Tensor,
        decoded: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Volumes (names, tokens, C) and (decoded classes, tokens, C), and the correlation of all classes."""
        names = self.embedding(image_features, vocabulary.names)
        names = self.aggregate(self.layers, names, vocabulary.names, image_guidance, weights=vocabulary.weights)
        pairs = [self.class_embedding(*group) for group in self._groups(names, vocabulary)]
        classes, correlation = (torch.cat(each) for each in zip(*pairs))
        classes = self.aggregate(self.class_layers, classes, vocabulary.classes, image_guidance, decoded)
        return names, classes, correlation

    def _groups(self, names: torch.Tensor, vocabulary: Vocabulary) -> Iterator[tuple[torch.Tensor, ...]]:
        """Arguments of `class_embedding` for some classes at a time."""
        parts = torch.cat([names[: vocabulary.num_parts], names[-1:]])
        parts, objects = self.composition(parts, names[vocabulary.num_parts :])
        by_class = vocabulary.part_ids, vocabulary.object_ids, vocabulary.classes
        if torch.compiler.is_compiling():
            return iter([(parts, objects, *by_class)])
        count = max(1, at_once(names.device) // parts[0].numel())
        return ((parts, objects, *group) for group in zip(*(each.split(count) for each in by_class)))


class PairedLinear(nn.Linear):
    """A linear layer of the states of a part and of an object side by side: the share of each, computed once."""

    def forward(self, parts: torch.Tensor, objects: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(parts, tokens, C) and (objects, tokens, C) -> (parts, tokens, D) and (objects, tokens, D), to be added."""
        width = parts.shape[-1]
        return F.linear(parts, self.weight[:, :width]), F.linear(objects, self.weight[:, width:], self.bias)


class ClassEmbedding(GradientCheckpointingLayer):
    """Cosine similarity of what is known of a part and of an object with each template of a class, and a convolution
    with the templates as channels.
    """

    def __init__(self, config: PartCATSegConfig):
        super().__init__()
        self.grid = config.grid_size
        self.convolution = nn.Conv2d(config.num_templates, config.hidden_size, 7, padding=3)

    def forward(
        self,
        parts: torch.Tensor,
        objects: torch.Tensor,
        part_ids: torch.Tensor,
        object_ids: torch.Tensor,
        class_features: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares of all names (names, tokens, D); ids (classes,) and features (classes, templates, D) of classes ->
        (classes, tokens, C), and the similarity averaged over templates, (classes, tokens).
        """
        features = parts.index_select(0, part_ids) + objects.index_select(0, object_ids)
        features, class_features = F.normalize(features, dim=-1), F.normalize(class_features, dim=-1)
        correlation = torch.einsum("tnd,tpd->tpn", features, class_features)
        maps = self.convolution(correlation.unflatten(2, (self.grid, self.grid)))
        return to_tokens(maps), correlation.mean(1)


class GuidedQueryAttention(GuidedLinearAttention):
    """Attention across classes as in the published models: a softmax over the classes that ask, not over those that are
    asked; what each class then gets is divided by its sum.
    """

    def forward(
        self,
        volume: torch.Tensor,
        guidance: torch.Tensor,
        decoded: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See `GuidedLinearAttention.forward`."""
        query, key = (self._by_token(layer(volume, guidance)) for layer in (self.query, self.key))
        value = self._by_token(self.value(volume))
        groups = [(query, key, value)]
        if not torch.compiler.is_compiling():
            count = max(1, at_once(volume.device) // (self.num_heads * len(volume) ** 2))
            groups = zip(*(each.split(count) for each in (query, key, value)))
        attended = torch.cat([self._attend(*group, decoded, weights) for group in groups])
        return attended.permute(2, 0, 1, 3).flatten(2)

    @staticmethod
    def _attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        decoded: torch.Tensor,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """(tokens, heads, classes, c) three times -> (tokens, heads, decoded classes, c)."""
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if weights is None:
            shares = scores.softmax(-2) + _EPS
        else:  # a class of weight 1/n stands for n equal ones
            shares = (scores + weights.log()[:, None]).softmax(-2) / weights[:, None] + _EPS
            shares = shares * weights
        shares = shares.index_select(-2, decoded)
        return (shares / shares.sum(-1, keepdim=True)) @ value

    def _by_token(self, states: torch.Tensor) -> torch.Tensor:
        """(classes, tokens, C) -> (tokens, heads, classes, C / heads)."""
        return self._heads(states).permute(1, 2, 0, 3)
