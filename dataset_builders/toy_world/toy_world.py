"""The toy world as a dataset repository; its images are drawn, where those of the benchmark are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ovparts_hf import __version__
from ovparts_hf.data.preparation.repository import RowSource
from ovparts_hf.data.rows import semantic_features
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.toy.world import SPLIT_SIZES, TOY_WORLD, few_shot_image_ids, image_id, row

if TYPE_CHECKING:
    import datasets


class ToyWorld:
    """Drawn objects made of parts; some objects are never labelled in training.

    Args:
        images: Number of images in each split; None for 2000 to train on and 300 to validate on.
        seed: Which toy world.
    """

    TAXONOMY: ClassVar[PartTaxonomy] = TOY_WORLD
    CARD: ClassVar[Path] = Path(__file__).with_name("README.md")

    def __init__(self, images: dict[str, int] | None = None, seed: int = 0) -> None:
        self.images = images or SPLIT_SIZES
        self.seed = seed

    def features(self) -> datasets.Features:
        """Columns of the rows."""
        return semantic_features(self.TAXONOMY)

    def fingerprint(self) -> str:
        """Identifies the drawing code and its arguments."""
        return f"{__version__}-{sorted(self.images.items())}-{self.seed}"

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Numbers the images; the few-shot ones come first."""
        few_shot = set(few_shot_image_ids(self.images["train"], seed=self.seed, taxonomy=self.TAXONOMY))
        groups: dict[str, list[tuple[str, int]]] = {"train-few_shot": [], "train-rest": []}
        for number in range(self.images["train"]):
            group = "train-few_shot" if image_id("train", number) in few_shot else "train-rest"
            groups[group].append(("train", number))
        groups["validation"] = [("validation", number) for number in range(self.images["validation"])]
        return RowSource(groups, self._row)

    def _row(self, key: tuple[str, int]) -> dict[str, Any]:
        return row(*key, seed=self.seed, taxonomy=self.TAXONOMY)
