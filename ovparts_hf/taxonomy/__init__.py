"""Names of objects and parts, the benchmark's tasks and settings, and what people type. Needs no torch."""

from .part_taxonomy import (
    ADE20K_PART_234,
    PACO_LVIS,
    PARTIMAGENET,
    PARTIMAGENET_OOD,
    PASCAL_PART_116,
    TAXONOMIES,
    TOY_WORLD,
    PartTaxonomy,
    split_part_class,
)

__all__ = [
    "ADE20K_PART_234",
    "PACO_LVIS",
    "PARTIMAGENET",
    "PARTIMAGENET_OOD",
    "PASCAL_PART_116",
    "TAXONOMIES",
    "TOY_WORLD",
    "PartTaxonomy",
    "split_part_class",
]
