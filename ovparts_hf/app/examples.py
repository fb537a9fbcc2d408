"""Images to try, and what a model knows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from PIL import Image

from ..inference.advice import is_toy
from ..inference.segmenter import PartSegmenter
from ..taxonomy import split_part_class
from ..toy.world import TOY_WORLD, draw
from ..utils.images import load_image

DRAWINGS = (0, 13, 19, 16, 17, 12)
"""Numbers of toy-world images, of a split of their own."""
PHOTOGRAPHS = {
    "cat": "cat: head, ear, eye, nose",
    "cup": "cup: body, handle\nspoon: bowl, handle",
    "astronaut": "woman: head, hair, arm\nflag: stripes",
}
"""Photograph -> the text that names the parts in it."""
_ENLARGED = 4
_FOLDER = resources.files(__package__) / "photographs"


@dataclass(frozen=True)
class Example:
    """An image to try, the names of the objects in it, and the text that names their parts."""

    image: Image.Image
    name: str
    text: str

    @cached_property
    def png(self) -> bytes:
        """The image as a file, which takes long to encode."""
        buffer = io.BytesIO()
        self.image.save(buffer, format="PNG")
        return buffer.getvalue()


def examples_for(segmenter: PartSegmenter) -> list[Example]:
    """Six drawings of the toy world; half of them are photographs for a model that has learned from such."""
    photographs = _photographs() if knows_photographs(segmenter) else ()
    return [*photographs, *drawings()[: len(DRAWINGS) - len(photographs)]]


@cache
def _photographs() -> tuple[Example, ...]:
    found = []
    for name, text in PHOTOGRAPHS.items():
        with resources.as_file(_FOLDER / f"{name}.jpg") as path:
            found.append(Example(load_image(path), name, text))
    return tuple(found)


@cache
def drawings() -> tuple[Example, ...]:
    """Drawings of the toy world, enlarged, with the parts of the objects in them."""
    parts = parts_by_object(TOY_WORLD.part_classes)
    found = []
    for number in DRAWINGS:
        scene = draw("app", number)
        size = (scene.image.width * _ENLARGED, scene.image.height * _ENLARGED)
        names = dict.fromkeys(figure.name for figure in scene.figures)
        text = "\n".join(f"{name}: {', '.join(parts[name])}" for name in names)
        found.append(Example(scene.image.resize(size, Image.Resampling.LANCZOS), ", ".join(names), text))
    return tuple(found)


def parts_by_object(class_names: Sequence[str]) -> dict[str, list[str]]:
    """["dog's head", "dog's ear"] as {"dog": ["head", "ear"]}; free words belong to ""."""
    parts: dict[str, list[str]] = {}
    for name in class_names:
        object_name, part = split_part_class(name) if "'s " in name else ("", name)
        parts.setdefault(object_name, []).append(part)
    return parts


def knows_photographs(segmenter: PartSegmenter) -> bool:
    """Whether the model has learned from more than the drawings of the toy world."""
    learned = known_parts(segmenter)
    return not (learned and set(learned) <= set(TOY_WORLD.part_classes))


def known_parts(segmenter: PartSegmenter) -> list[str]:
    """The parts that the model was trained on; none if it does not say."""
    return list(segmenter.model.vocabulary or (TOY_WORLD.part_classes if is_toy(segmenter.model) else ()))
