"""ADE20K-Part-234."""

from .ade20k_part_234 import ADE20KPart234

__all__ = ["ADE20KPart234"]
