"""PartImageNet, the split of objects that are not in training."""

from .partimagenet_ood import PartImageNetOOD

__all__ = ["PartImageNetOOD"]
