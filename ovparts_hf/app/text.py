"""What the web page says."""

from __future__ import annotations

import html

from ..inference.segmenter import PartSegmenter
from ..toy.world import TOY_WORLD
from .work import is_toy, parts_by_object

INTRO = """# Find the parts of things, in your words

Give an image, name objects and their parts, and get the pixels of each part."""

HINT = """1. Upload an image, or pick an example.
2. Name objects and their parts, a line for each object.
3. Press *Find the parts*."""

PLACEHOLDER = "dog: head, ear, tail\nbus: wheel, window"


def note() -> str:
    """What to expect of the toy model."""
    count = len(TOY_WORLD.object_classes)
    unseen = [name for name in TOY_WORLD.object_classes if name not in TOY_WORLD.seen_objects]
    return (
        f"The model on this page is a **toy**. It has learned from drawings of {count} objects, and was never shown a "
        f"part of {len(unseen)} of them ({', '.join(unseen)}): those it has to infer from their names. Photographs and "
        "other words run through it, but what it answers there means nothing."
    )


def known_words(segmenter: PartSegmenter) -> str | None:
    """The words of the model's training, as a list; None if it does not say."""
    toy = list(TOY_WORLD.part_classes) if is_toy(segmenter) else None
    classes = segmenter.model.vocabulary or toy
    if classes is None:
        return None
    lines = [
        f"* **{html.escape(name)}**: {html.escape(', '.join(parts))}"
        for name, parts in parts_by_object(classes).items()
    ]
    return "\n".join(["Others can be asked for; whether they are found is another matter.", "", *lines])
