"""Refines scores by a fully connected conditional random field (Krähenbühl and Koltun, NeurIPS 2011).

Needs the extra `crf`, pydensecrf2.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from PIL import Image

from ..errors import ConfigurationError

STEPS = 5
SMOOTHNESS = {"sxy": (3, 3), "compat": 3}
"""Deviation in pixels and weight of the term that wants neighbours to agree, as in the original."""
APPEARANCE = {"sxy": (80, 80), "srgb": (13, 13, 13), "compat": 10}
"""Of the term that wants neighbours of like colour to agree, likewise."""
_TINY = 1e-8  # so that every energy is finite


def load_crf() -> ModuleType:
    """The module that computes, so that a missing one is noticed before work starts.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module("pydensecrf.densecrf")
    except ImportError as error:
        raise ConfigurationError(
            'The dense CRF needs pydensecrf2, which is not installed: pip install "ovparts_hf[crf]".'
        ) from error


def refine(scores: torch.Tensor, image: Image.Image) -> torch.Tensor:
    """Makes scores of classes agree with the borders in an image.

    Args:
        scores: (classes, H, W), not below zero; at each pixel their shares of the sum count as probabilities.
        image: The image, of the same size.

    Returns:
        (classes, H, W) float32 probabilities; `scores` if there are fewer than two classes.

    Raises:
        ConfigurationError: pydensecrf2 is not installed.
    """
    densecrf = load_crf()
    count, height, width = scores.shape
    if count < 2:
        return scores
    shares = scores.double().clamp(min=_TINY)
    energy = -(shares / shares.sum(0)).log().flatten(1).cpu().numpy()
    field = densecrf.DenseCRF2D(width, height, count)
    field.setUnaryEnergy(np.ascontiguousarray(energy, dtype=np.float32))
    field.addPairwiseGaussian(**SMOOTHNESS)
    field.addPairwiseBilateral(**APPEARANCE, rgbim=np.array(image.convert("RGB")))
    refined = np.asarray(field.inference(STEPS), dtype=np.float32).reshape(count, height, width)
    return torch.from_numpy(refined).to(scores.device)
