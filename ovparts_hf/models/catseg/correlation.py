"""The correlation volume: how much each place of an image is like each sentence about each class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .chunks import class_chunks


class CorrelationEmbedding(nn.Module):
    """Cosine similarities of places and sentences, and a convolution with the sentences as channels."""

    def __init__(self, num_templates: int, width: int):
        super().__init__()
        self.convolution = nn.Conv2d(num_templates, width, 7, padding=3)

    def forward(self, image_features: torch.Tensor, class_features: torch.Tensor) -> torch.Tensor:
        """Correlates one image with all classes.

        Args:
            image_features: (D, height, width).
            class_features: (classes, templates, D).

        Returns:
            (classes, height * width, C).
        """
        places = F.normalize(image_features, dim=0)
        return torch.cat([self._embed(places, sentences) for sentences in class_chunks(class_features)])

    def _embed(self, places: torch.Tensor, sentences: torch.Tensor) -> torch.Tensor:
        correlation = torch.einsum("tpd,dhw->tphw", F.normalize(sentences, dim=-1), places)
        return self.convolution(correlation).flatten(2).transpose(1, 2)
