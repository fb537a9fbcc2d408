"""From scores to one class for each pixel: the best one, or by RankSEG, which expects a higher IoU of some classes.

RankSEG: Dai and Li, JMLR 2023; its solver RMA: Wang and Dai, NeurIPS 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Literal, get_args

import numpy as np
import torch

from ..errors import ConfigurationError
from ..models.post_processing import best_class

Decoding = Literal["argmax", "rankseg"]
DECODINGS = get_args(Decoding)
_TINY = 1e-8  # so that the scores of every pixel have a sum


def check_decoding(decode: str) -> None:
    """Raises a ConfigurationError for an unknown decoding, or one whose package is not installed."""
    if decode not in DECODINGS:
        raise ConfigurationError(f"decode is {decode!r}; choose one of {list(DECODINGS)}.")
    if decode == "rankseg":
        _load_rankseg()


def decode_classes(
    scores: torch.Tensor,
    ids: Sequence[int] | torch.Tensor,
    decode: Decoding = "argmax",
    inside: np.ndarray | None = None,
) -> torch.Tensor:
    """One of the classes `ids` for each pixel: (n, H, W) scores of n classes -> (H, W) int64; -1 if there is none.

    RankSEG looks at all pixels of an image together, or at those `inside` (H, W) bool; others keep the best class. It
    takes the shares of each pixel's sum of scores for probabilities; the scores are not below zero.
    """
    best = best_class(scores, ids)
    if decode == "argmax" or len(ids) < 2:
        return best
    region = torch.ones_like(best, dtype=torch.bool) if inside is None else torch.from_numpy(inside).to(best.device)
    if not region.any():
        return best
    shares = scores[:, region].float().clamp_(min=_TINY)
    shares /= shares.sum(0)
    solver = _load_rankseg().RankSEG(metric="IoU", output_mode="multiclass", solver="RMA")
    positions = solver.predict(shares[None])[0]
    best[region] = torch.as_tensor(ids, device=best.device)[positions.to(best.device)]
    return best


def _load_rankseg() -> object:
    """The module that computes; asked for early, a missing one is noticed before work starts."""
    try:
        return import_module("rankseg")
    except ImportError as error:
        raise ConfigurationError(
            'decode="rankseg" needs rankseg, which is not installed: pip install "ovparts_hf[rankseg]".'
        ) from error
