"""PACO-LVIS."""

from .paco_lvis import PacoLVIS

__all__ = ["PacoLVIS"]
