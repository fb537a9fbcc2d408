"""What a dry run prints: classes, counts, sizes and problems."""

from __future__ import annotations

from collections import Counter

from .survey import Survey


def summary(survey: Survey) -> str:
    """The findings of a survey, for people."""
    taxonomy = survey.taxonomy
    lines = [f"{survey.source.given}: format {survey.format_name}, {len(survey.images):,} labelled images"]
    if taxonomy is not None:
        lines += _classes(survey)
        sizes = Counter(examined.size for examined in survey.examined if examined.size != (0, 0))
        shown = [f"{width} x {height} ({count:,})" for (height, width), count in sizes.most_common(5)]
        others = f" and {len(sizes) - 5:,} other sizes" if len(sizes) > 5 else ""
        lines.append(f"sizes: {', '.join(shown)}{others}")
        lines.append(f"maps: {taxonomy.mask_bits} bits, {taxonomy.ignore_index} = no label")
    if survey.validates:
        counts = f"train {survey.validates.count(False):,}, validation {survey.validates.count(True):,}"
        lines.append(f"split: {counts} ({survey.division})")
    lines += [f"note: {note}" for note in survey.notes]
    problems = survey.problems
    lines.append(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}:" if problems else "No problem.")
    return "\n".join([*lines, *(f"- {problem}" for problem in problems)])


def _classes(survey: Survey) -> list[str]:
    """A line for each part with the number of images that have it, in each split, below its object."""
    taxonomy = survey.taxonomy
    sides = survey.validates or [False] * len(survey.examined)
    images = {side: Counter[int]() for side in (False, True)}
    for examined, side in zip(survey.examined, sides):
        images[side].update(examined.parts)
    objects = sum((examined.objects for examined in survey.examined), Counter[int]())
    lines = [f"{'class':<40}{'train':>8}{'validation':>12}"]
    for object_id, name in enumerate(taxonomy.object_classes):
        state = "" if name in taxonomy.seen_objects else ", unseen"
        lines.append(f"{name} ({objects[object_id]:,} objects{state})")
        for part in taxonomy.parts_of(object_id):
            lines.append(f"  {taxonomy.part_name(part):<38}{images[False][part]:>8,}{images[True][part]:>12,}")
    return lines
