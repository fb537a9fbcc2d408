"""Putting together the scores of overlapping windows and of the whole image, as CAT-Seg does."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

OVERLAP = 0.333
"""Share of a window that it has in common with the next."""


def window_stride(window: int) -> int:
    """Pixels from one window to the next."""
    return int(window * (1 - OVERLAP))


def cut_windows(canvas: torch.Tensor, window: int) -> torch.Tensor:
    """Cuts a square image into overlapping windows.

    Args:
        canvas: (channels, side, side); the side is `window` plus a multiple of `window_stride(window)`.
        window: Side of a window.

    Returns:
        (windows, channels, window, window), row by row.
    """
    stride = window_stride(window)
    windows = canvas.unfold(1, window, stride).unfold(2, window, stride)
    return windows.flatten(1, 2).transpose(0, 1)


def merge_windows(logits: torch.Tensor, window: int) -> torch.Tensor:
    """Averages the probabilities of windows where they overlap, and then with those of the whole image.

    Args:
        logits: (windows + 1, classes, h, w), the whole image last; the number of windows is a square.
        window: Side of a window in pixels; scores are enlarged to it first.

    Returns:
        (classes, side, side) logits of the averaged probabilities, where side is that of the canvas.
    """
    scores = F.interpolate(logits.float(), size=(window, window), mode="bilinear", align_corners=False).sigmoid()
    windows, whole = scores[:-1], scores[-1:]
    stride, per_side = window_stride(window), math.isqrt(len(windows))
    side = window + stride * (per_side - 1)
    total, count = windows.new_zeros(windows.shape[1], side, side), windows.new_zeros(side, side)
    for number, part in enumerate(windows):
        top, left = (stride * index for index in divmod(number, per_side))
        total[:, top : top + window, left : left + window] += part
        count[top : top + window, left : left + window] += 1
    whole = F.interpolate(whole, size=(side, side), mode="bilinear", align_corners=False)[0]
    return ((total / count + whole) / 2).logit()
