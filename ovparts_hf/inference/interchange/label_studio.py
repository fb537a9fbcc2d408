"""Predictions to import into Label Studio, as masks of its brush."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree.ElementTree import Element

import numpy as np

from ..instances import PartInstance
from ..visualization import hex_colors
from .run_lengths import run_lengths
from .xml import add_element, document, xml_text

if TYPE_CHECKING:
    from ..result import PartSegmentation

_LOCAL_FILES = "/data/local-files/?d="
_LENGTH_BITS = (3, 4, 8, 16)
_VALUE_BITS = 8
_CHANNELS = 4  # RGBA, equal in all


class LabelStudioFile:
    """The results of several images as tasks with predictions, and the labelling interface that they belong to."""

    def __init__(self) -> None:
        self._tasks: list[dict[str, Any]] = []
        self._colors: dict[str, str] = {}

    def add(self, result: PartSegmentation, file_name: str, instances: Sequence[PartInstance]) -> None:
        """Adds an image, which must lie under this name in Label Studio's folder of local files."""
        scores = [instance.score for instance in instances]
        prediction = {
            "model_version": "ovparts_hf",
            "score": float(np.mean(scores)) if scores else 0.0,
            "result": [_brush(instance, number) for number, instance in enumerate(instances, start=1)],
        }
        path = quote(file_name, errors="surrogateescape")  # whatever bytes a name has
        self._tasks.append({"data": {"image": _LOCAL_FILES + path}, "predictions": [prediction]})
        self._colors = dict(zip(result.classes, hex_colors(result.classes)))

    def files(self) -> dict[str, str]:
        """From names of files to what is in them: the tasks, and the code of the labelling interface."""
        view = Element("View")
        add_element(view, "Image", name="image", value="$image", zoom="true")
        labels = add_element(view, "BrushLabels", name="label", toName="image")
        for name, color in self._colors.items():
            add_element(labels, "Label", value=name, background=color)
        return {"labelstudio.json": json.dumps(self._tasks), "labelstudio_interface.xml": document(view)}


def _brush(instance: PartInstance, number: int) -> dict[str, Any]:
    height, width = instance.image_size
    value = {"format": "rle", "rle": brush_bytes(instance), "brushlabels": [xml_text(instance.label)]}
    return {
        "id": f"part-{number}",
        "from_name": "label",
        "to_name": "image",
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": instance.score,
        "value": value,
        "meta": {} if instance.object_id is None else {"text": [f"{instance.object_name} {instance.object_id}"]},
    }


def brush_bytes(instance: PartInstance) -> list[int]:
    """A mask as Label Studio's brush stores it: bits of runs over the RGBA values, row by row, 255 inside.

    First the number of values (32 bits), the bits of a value less one (5) and, for each of four sizes, the bits of a
    length less one (4); then for each run a 1, which of the sizes (2), the length less one, and the value.
    """
    height, width = instance.image_size
    left, top = instance.box[:2]
    lengths = run_lengths(instance.crop, (height, width), left, top) * _CHANNELS
    bits = [f"{height * width * _CHANNELS:032b}{_VALUE_BITS - 1:05b}", *(f"{size - 1:04b}" for size in _LENGTH_BITS)]
    for inside, length in enumerate(lengths.tolist()):
        while length:
            part = min(length, 2 ** _LENGTH_BITS[-1])
            kind = next(kind for kind, size in enumerate(_LENGTH_BITS) if part <= 2**size)
            bits.append(f"1{kind:02b}{part - 1:0{_LENGTH_BITS[kind]}b}{255 * (inside % 2):08b}")
            length -= part
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))
