"""Decoder: doubles the resolution of each class's map twice, guided by the image's finer features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .chunks import class_chunks

_CHANNELS_PER_GROUP = 16


class GuidedUpsampling(nn.Module):
    """Transposed convolution, concatenation with guidance, and two convolutions with group norm."""

    def __init__(self, width_in: int, width_out: int, guidance_width: int):
        super().__init__()
        groups = width_out // _CHANNELS_PER_GROUP
        self.up = nn.ConvTranspose2d(width_in, width_in - guidance_width, 2, stride=2)
        self.convolution_1 = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, width_out)
        self.convolution_2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, width_out)

    def prepare(self, guidance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What all classes of an image share.

        Up-sampling and the first convolution are linear with nothing in between, so that together they are one
        transposed convolution of the class's map, plus a map that depends on the guidance alone.

        Args:
            guidance: (1, guidance channels, height, width).

        Returns:
            The kernel (channels in, channels out, 4, 4), and what is added (1, channels out, height, width).
        """
        width = self.up.out_channels
        kernel = F.conv2d(self.up.weight, self.convolution_1.weight[:, :width], padding=2)
        bias = self.up.bias[:, None, None].expand(1, -1, *guidance.shape[-2:])
        return kernel, self.convolution_1(torch.cat([bias.to(guidance), guidance], dim=1))

    def forward(self, maps: torch.Tensor, kernel: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
        """(classes, channels in, h, w) -> (classes, channels out, 2 h, 2 w), given what `prepare` made."""
        maps = F.conv_transpose2d(maps, kernel, stride=2, padding=1) + shared
        maps = self.norm1(maps).relu()
        return self.norm2(self.convolution_2(maps)).relu()


class Decoder(nn.Module):
    """Up-sampling stages, then one score for each pixel."""

    def __init__(self, width: int, sizes: Sequence[int], guidance_sizes: Sequence[int]):
        super().__init__()
        widths = [width, *sizes]
        self.stages = nn.ModuleList(
            GuidedUpsampling(*each) for each in zip(widths[:-1], widths[1:], guidance_sizes, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, maps: torch.Tensor, guidance: Sequence[torch.Tensor]) -> torch.Tensor:
        """Decodes.

        Args:
            maps: (classes, C, grid, grid).
            guidance: Per stage (1, guidance channels, height, width), coarse to fine.

        Returns:
            (classes, height, width).
        """
        prepared = [stage.prepare(each) for stage, each in zip(self.stages, guidance)]
        return torch.cat([self._decode(chunk, prepared) for chunk in class_chunks(maps)])

    def _decode(self, maps: torch.Tensor, prepared: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        for stage, shared in zip(self.stages, prepared):
            maps = stage(maps, *shared)
        return self.head(maps).squeeze(1)
