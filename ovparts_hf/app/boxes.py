"""Where objects are, as a visitor says it: "dog: 10, 20, 200, 300", a line for each box."""

from __future__ import annotations

import re

from ..errors import OVPartsError
from ..taxonomy.part_taxonomy import straight
from ..taxonomy.vocabulary import Vocabulary
from .limits import Limits

_BOX = re.compile(r"(?:(?P<name>.*):)?\s*(?P<box>-?\d+(?:\s*,\s*-?\d+){3})\s*")


def read_boxes(text: str, vocabulary: Vocabulary, limits: Limits) -> dict[str, list[list[int]]] | None:
    """The boxes (left, top, right, bottom) of each object; None if none are given, for anywhere in the image.

    A box without a name belongs to the only object there is.
    """
    lines = [line for line in re.split(r"[;\n]", text) if line.strip()]
    if len(lines) > limits.parts:
        raise OVPartsError(f"{len(lines)} boxes are given; at most {limits.parts} are allowed.")
    boxes: dict[str, list[list[int]]] = {}
    for line in lines:
        match = _BOX.fullmatch(straight(line))
        if match is None:
            raise OVPartsError(f'{line.strip()!r} is no box; write "dog: left, top, right, bottom" in whole pixels.')
        name = (match["name"] or "").strip()
        if not name:
            if len(vocabulary.objects) != 1:
                raise OVPartsError(f"Say which object each box is: one of {list(vocabulary.objects)}, then a colon.")
            [name] = vocabulary.objects
        vocabulary.parts_of(name)
        boxes.setdefault(name, []).append([int(number) for number in match["box"].split(",")])
    return boxes or None
