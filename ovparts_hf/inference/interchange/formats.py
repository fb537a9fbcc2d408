"""The formats of labelling tools that results can be written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from .coco import CocoFile
from .cvat import CvatFile
from .label_studio import LabelStudioFile

if TYPE_CHECKING:
    from ..instances import PartInstance
    from ..result import PartSegmentation


class AnnotationFile(Protocol):
    """Collects the results of a run, image by image."""

    def add(self, result: PartSegmentation, file_name: str, instances: Sequence[PartInstance]) -> None:
        """Adds an image and the parts in it."""

    def files(self) -> dict[str, str]:
        """From names of files to what is in them."""


FORMATS: dict[str, type[AnnotationFile]] = {"coco": CocoFile, "cvat": CvatFile, "labelstudio": LabelStudioFile}
