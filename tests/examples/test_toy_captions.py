"""Captions of toy images say exactly what can be seen."""

import random
import re

from examples.toy_captions import caption, phrases
from ovparts_hf.toy.drawing.pencil import COLOURS
from ovparts_hf.toy.world import TOY_WORLD, draw

PART_NAMES = {TOY_WORLD.part_name(i).rstrip("s") for i in range(len(TOY_WORLD.part_classes))}


def test_captions_name_no_part_that_cannot_be_seen():
    named = set()
    for number in range(120):
        figures = draw("train", number).figures
        words = {word.rstrip("s") for word in re.findall("[a-z]+", caption(figures, random.Random(0)))}
        visible = {part.rstrip("s") for figure in figures for part in figure.parts}
        assert not words & (PART_NAMES - visible)
        named |= words & visible
    assert len(named) > 20


def test_phrases_name_objects_parts_and_colours():
    figure = draw("train", 0).figures[0]
    found = phrases([figure])
    part, colour = next(iter(figure.parts.items()))
    expected = {figure.name, f"{figure.colour} {figure.name}", part, f"{colour} {part}", f"{figure.name} {part}"}
    assert expected <= set(found)
    assert len(found) == len(set(found))
    assert set(figure.parts.values()) <= set(COLOURS)
