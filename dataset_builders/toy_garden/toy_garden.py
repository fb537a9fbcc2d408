"""The toy garden as a dataset repository."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.toy.garden import GARDEN_SIZES, TOY_GARDEN

from ..toy_world import ToyWorld


class ToyGarden(ToyWorld):
    """Drawn objects that the toy world lacks, in as few training images as one labels oneself.

    Args:
        images: Number of images in each split; None for 30 to train on and 200 to validate on.
        seed: Which toy garden.
    """

    TAXONOMY: ClassVar[PartTaxonomy] = TOY_GARDEN
    CARD: ClassVar[Path] = Path(__file__).with_name("README.md")

    def __init__(self, images: dict[str, int] | None = None, seed: int = 0) -> None:
        super().__init__(images or GARDEN_SIZES, seed)
