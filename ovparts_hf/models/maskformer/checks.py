"""What callers may get wrong, told before work starts."""

from __future__ import annotations

import torch

from ...errors import ConfigurationError


def check_request(
    rows: int,
    num_classes: int,
    class_mask: torch.Tensor | None,
    labels: torch.Tensor | None,
    include_none: bool,
) -> None:
    """Checks the arguments that all mask classification models share.

    Args:
        rows: Images, or objects where those are asked about.
        num_classes: Classes to be scored.
        class_mask: Must be (rows, classes).
        labels: Must be (rows, height, width).
        include_none: Must be False: "no object" is known for a query, but not for a pixel.

    Raises:
        ConfigurationError: One of them is not as it must be.
    """
    if include_none:
        raise ConfigurationError("This model has no score for 'none' at a pixel; set include_none=False.")
    if class_mask is not None and tuple(class_mask.shape) != (rows, num_classes):
        raise ConfigurationError(
            f"class_mask has shape {list(class_mask.shape)}; for {rows} rows and {num_classes} classes pass "
            f"[{rows}, {num_classes}]."
        )
    if labels is not None and (labels.dim() != 3 or len(labels) != rows):
        raise ConfigurationError(
            f"labels has shape {list(labels.shape)}; pass (rows, height, width) with one label map for each of the "
            f"{rows} rows."
        )
