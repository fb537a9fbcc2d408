"""The toy garden."""

from .toy_garden import ToyGarden

__all__ = ["ToyGarden"]
