"""The toy garden: a second drawn dataset, of objects and parts that neither the toy world nor its weights know.

It is small, as data of one's own are: fine-tuning is measured on it (docs/finetuning.md).
"""

from __future__ import annotations

from dataclasses import replace

from ..taxonomy import PartTaxonomy

GARDEN_SIZES = {"train": 30, "validation": 200}
_PARTS = {
    "butterfly": ["forewing", "hindwing", "abdomen"],
    "flower": ["petal", "disc", "stem", "leaf"],
    "gnome": ["hat", "beard", "coat", "boot"],
    "mushroom": ["cap", "stalk"],
    "snail": ["shell", "foot", "feeler"],
    "teapot": ["bowl", "lid", "spout", "handle"],
    "tree": ["crown", "trunk", "fruit"],
    "umbrella": ["canopy", "shaft", "grip"],
}
TOY_GARDEN = replace(PartTaxonomy.from_dict(_PARTS), name="toy-garden")
