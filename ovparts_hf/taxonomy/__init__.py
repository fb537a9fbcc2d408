"""Names of objects and their parts, the benchmark's tasks and settings, and what people type. Needs no torch."""

from .part_taxonomy import ADE20K_PART_234, PASCAL_PART_116, TAXONOMIES, TOY_WORLD, PartTaxonomy, split_part_class

__all__ = ["ADE20K_PART_234", "PASCAL_PART_116", "TAXONOMIES", "TOY_WORLD", "PartTaxonomy", "split_part_class"]
