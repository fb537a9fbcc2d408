"""Annotations to import into CVAT: "CVAT for images 1.1", in XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from ..instances import PartInstance
from ..visualization import hex_colors
from .run_lengths import run_lengths
from .xml import add_element, document, xml_text

if TYPE_CHECKING:
    from ..result import PartSegmentation


class CvatFile:
    """The results of several images: masks with scores, those of one object in one group; and the labels of a task."""

    def __init__(self) -> None:
        self._root = Element("annotations")
        add_element(self._root, "version").text = "1.1"
        self._images = self._groups = 0
        self._labels: list[dict[str, object]] = []

    def add(self, result: PartSegmentation, file_name: str, instances: Sequence[PartInstance]) -> None:
        """Adds an image, which must have this name in the task of CVAT."""
        width, height = result.image.size
        image = add_element(self._root, "image", id=self._images, name=file_name, width=width, height=height)
        for instance in instances:
            self._add_mask(image, instance)
        self._images += 1
        self._groups += 1 + max((instance.object_id or 0 for instance in instances), default=0)
        score = {"name": "score", "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
        self._labels = [
            {"name": xml_text(name), "color": color, "type": "mask", "attributes": [score]}
            for name, color in zip(result.classes, hex_colors(result.classes))
        ]

    def _add_mask(self, image: Element, instance: PartInstance) -> None:
        left, top, right, bottom = instance.box
        lengths = run_lengths(instance.crop, instance.crop.shape).tolist()
        mask = add_element(
            image,
            "mask",
            label=instance.label,
            source="auto",
            occluded=0,
            rle=", ".join(map(str, lengths)),
            left=left,
            top=top,
            width=right - left,
            height=bottom - top,
            z_order=0,
            **({} if instance.object_id is None else {"group_id": self._groups + instance.object_id + 1}),
        )
        add_element(mask, "attribute", name="score").text = f"{instance.score:.6f}"

    def files(self) -> dict[str, str]:
        """From names of files to what is in them: the annotations, and what CVAT's raw editor of labels takes."""
        return {"cvat.xml": document(self._root), "cvat_labels.json": json.dumps(self._labels, indent=1)}
