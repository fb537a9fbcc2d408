"""What is to be said of labelled data that is no problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...taxonomy import PartTaxonomy
from .sides import equal_images
from .words import counted, listed

if TYPE_CHECKING:
    from .survey import Survey


def add_notes(result: Survey, taxonomy: PartTaxonomy) -> None:
    """Says what was left out, painted over or put together."""
    empty = [name for examined in result.examined for name in examined.empty]
    if empty:
        result.notes.append(f"Left out: {counted(len(empty), 'annotation')} without a pixel: {listed(empty)}.")
    cut = [name for examined in result.examined for name in examined.cut]
    if cut:
        result.notes.append(f"Cut off at the border of the image: {counted(len(cut), 'polygon')}: {listed(cut)}.")
    if pixels := sum(result.overlaps.values()):
        pairs = [
            f"{taxonomy.part_classes[upper]} over {taxonomy.part_classes[lower]} ({count:,})"
            for (lower, upper), count in result.overlaps.most_common()
        ]
        images = sum(bool(examined.overlaps) for examined in result.examined)
        where = f"{pixels:,} pixels in {counted(images, 'image')}"
        result.notes.append(f"Parts overlap in {where}; the later one counts: {listed(pairs, quote=False)}.")
    if extended := sum(examined.extended for examined in result.examined):
        result.notes.append(f"Added to the mask of its object, which it lay outside of: {counted(extended, 'part')}.")
    if equal := equal_images(result):
        names = [f"{result.images[a].image.name} = {result.images[b].image.name}" for a, b in equal]
        result.notes.append(f"Equal images, kept on one side: {listed(names, quote=False)}.")
    underscored = [name for name in (*taxonomy.object_classes, *taxonomy.part_classes) if "_" in name]
    if underscored:
        advice = "A model reads that, too; a --taxonomy with spaces in its place fits these labels"
        result.notes.append(f'Names with "_": {listed(underscored)}. {advice}.')
    for side, validates in (("training", False), ("validation", True)):
        present = {p for e, v in zip(result.examined, result.validates) if v == validates for p in e.parts}
        missing = [name for i, name in enumerate(taxonomy.part_classes) if i not in present]
        if missing and result.validates:
            result.notes.append(f"No {side} image has {listed(missing)}.")
