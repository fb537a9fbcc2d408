"""Pascal-Part-116."""

from .pascal_part_116 import PascalPart116

__all__ = ["PascalPart116"]
