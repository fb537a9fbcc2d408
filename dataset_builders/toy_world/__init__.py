"""The toy world."""

from .toy_world import ToyWorld

__all__ = ["ToyWorld"]
