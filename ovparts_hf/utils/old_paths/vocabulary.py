"""Where `store_vocabulary` was up to 0.1; it is a method of the models now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def store_vocabulary(model: Any, processor: Any, classes: Sequence[str], progress: bool = True) -> None:
    """See `PartSegmentationModel.store_vocabulary`."""
    model.store_vocabulary(processor, classes, progress)
