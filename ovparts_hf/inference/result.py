"""The parts that were found in an image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ..errors import ConfigurationError
from ..taxonomy.part_taxonomy import straight
from ..utils.files import atomic_write, user_path
from ..utils.resize import resize_nearest
from . import visualization

NONE = -1
"""Label of the pixels that are none of the classes."""
OVERLAY_EDGE = 2048
"""Longest side of an overlay by default, in pixels."""
_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class PartSegmentation:
    """Where the parts are in an image.

    Attributes:
        image: The image, RGB and upright.
        label_map: (H, W) int16, for each pixel an index into `classes`, or -1 for none of them.
        classes: The names that were looked for, such as "dog's head".
        scores: (classes,) float32 from 0 to 1, the mean score of a class over its pixels; 0 where it has none. Scores
            of different models mean different things.
    """

    image: Image.Image
    label_map: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray

    @cached_property
    def _counts(self) -> np.ndarray:
        bands = np.array_split(self.label_map, -(-self.label_map.size // _AT_ONCE))
        length = len(self.classes) + 1
        return sum(np.bincount(band.ravel() - NONE, minlength=length) for band in bands)[1:]

    @property
    def found(self) -> tuple[str, ...]:
        """The classes that have at least one pixel."""
        return tuple(name for name, area in zip(self.classes, self._counts) if area)

    def areas(self) -> dict[str, int]:
        """Pixels of every class."""
        return dict(zip(self.classes, self._counts.tolist()))

    def mask(self, name: str) -> np.ndarray:
        """(H, W) bool, the pixels of one class.

        Raises:
            ConfigurationError: There is no such class.
        """
        name = straight(name)
        if name not in self.classes:
            raise ConfigurationError(f"{name!r} is no class of this result; its classes are {list(self.classes)}.")
        return self.label_map == self.classes.index(name)

    def masks(self) -> dict[str, np.ndarray]:
        """`mask` of each class that was found."""
        return {name: self.mask(name) for name in self.found}

    def to_coco(self, image_id: int = 1, first_id: int = 1) -> list[dict[str, Any]]:
        """Annotations in COCO's format, JSON-ready; `coco_dataset` makes a whole file of several results.

        Args:
            image_id: Written into each annotation.
            first_id: `id` of the first annotation; the others count on. No two of a file may have the same.

        Returns:
            One for each class that was found: `segmentation` is run-length encoded (compressed, as pycocotools reads
            it), `category_id` is the index of the class plus 1, as 0 is no category to readers of COCO, `bbox` is
            (left, top, width, height) in pixels.
        """
        return [
            {
                "id": number,
                "image_id": image_id,
                "category_id": category + 1,
                "category": self.classes[category],
                "segmentation": {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")},
                "area": int(self._counts[category]),
                "bbox": coco_mask.toBbox(encoded).tolist(),
                "iscrowd": 0,
                "score": round(float(self.scores[category]), 6),
            }
            for number, (category, encoded) in enumerate(self._run_lengths().items(), start=first_id)
        ]

    def coco_image(self, image_id: int = 1, file_name: str = "") -> dict[str, Any]:
        """The entry of `images` that `to_coco` refers to."""
        return {"id": image_id, "file_name": file_name, "width": self.image.width, "height": self.image.height}

    def coco_categories(self) -> list[dict[str, Any]]:
        """The entries of `categories`, of all classes, that `to_coco` refers to."""
        return [{"id": number, "name": name} for number, name in enumerate(self.classes, start=1)]

    def _run_lengths(self) -> dict[int, dict[str, Any]]:
        """Each class that was found, encoded as pycocotools does it; the label map is read only once."""
        columns = np.ascontiguousarray(self.label_map.T).ravel()
        starts = np.concatenate([[0], np.flatnonzero(columns[1:] != columns[:-1]) + 1])
        ends = np.append(starts[1:], columns.size)
        labels = columns[starts]
        encoded = {}
        for category in np.flatnonzero(self._counts).tolist():
            runs = labels == category
            bounds = np.stack([starts[runs], ends[runs]], axis=1).ravel()
            counts = np.diff(bounds, prepend=0, append=columns.size)
            uncompressed = {"size": list(self.label_map.shape), "counts": counts[: -1 if counts[-1] == 0 else None]}
            encoded[category] = coco_mask.frPyObjects(uncompressed, *self.label_map.shape)
        return encoded

    def to_json(self) -> dict[str, Any]:
        """All but the image, JSON-ready: its size, every class with score, area and color, and a file of COCO."""
        colors = visualization.hex_colors(self.classes)
        return {
            "height": self.image.height,
            "width": self.image.width,
            "images": [self.coco_image()],
            "categories": self.coco_categories(),
            "classes": [
                {
                    "id": number,
                    "name": name,
                    "score": round(float(self.scores[number]), 6),
                    "area": int(self._counts[number]),
                    "color": colors[number],
                }
                for number, name in enumerate(self.classes)
            ],
            "annotations": self.to_coco(),
        }

    def label_image(self) -> Image.Image:
        """The label map as an image: 8 bits with 255 for none, or from 256 classes on 16 bits with 65535."""
        if len(self.classes) <= 255:
            return Image.fromarray(np.where(self.label_map == NONE, 255, self.label_map).astype(np.uint8))
        return Image.fromarray(self.label_map.astype(np.uint16))  # -1 becomes 65535

    def overlay(
        self,
        alpha: float = 0.65,
        legend: bool = True,
        only: Sequence[str] | None = None,
        longest_edge: int | None = OVERLAY_EDGE,
    ) -> Image.Image:
        """Paints the parts over the image; a class has the same color in every image.

        Args:
            alpha: Opacity of the paint, 0 to 1.
            legend: Whether the classes are listed below.
            only: Classes to paint; None for all.
            longest_edge: A larger image is shrunk to this many pixels first; None paints it at its size.

        Raises:
            ConfigurationError: There is no such class, or alpha is out of range.
        """
        small = self if longest_edge is None else self.shrunk(longest_edge)
        labels = small.label_map
        if only is not None:
            unknown = [name for name in only if name not in self.classes]
            if unknown:
                raise ConfigurationError(
                    f"{unknown} are no classes of this result; its classes are {list(self.classes)}."
                )
            labels = np.where(np.isin(labels, [self.classes.index(name) for name in only]), labels, NONE)
        return visualization.overlay(small.image, labels, self.classes, alpha, legend)

    def shrunk(self, longest_edge: int) -> PartSegmentation:
        """The same with image and label map shrunk to a longer side of `longest_edge` pixels, if they are larger."""
        scale = longest_edge / max(self.image.size)
        if scale >= 1:
            return self
        size = max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale))
        image = self.image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        return replace(self, image=image, label_map=resize_nearest(self.label_map, size[::-1]))

    def save(self, folder: str | Path, overlay: bool = True, details: bool = True) -> Path:
        """Writes `label_map.png` (see `label_image`), `overlay.png` and `parts.json` (see `to_json`).

        Args:
            folder: Is made if it is missing. Of an existing one these files are replaced, or removed if they are not
                written now: they belong to an earlier result.
            overlay: Whether to write the overlay.
            details: Whether to write the JSON file.

        Returns:
            The folder.
        """
        folder = user_path(folder)
        for name in ("overlay.png", "parts.json"):
            (folder / name).unlink(missing_ok=True)
        with atomic_write(folder / "label_map.png") as temporary:
            self.label_image().save(temporary)
        if overlay:
            with atomic_write(folder / "overlay.png") as temporary:
                self.overlay().save(temporary)
        if details:
            with atomic_write(folder / "parts.json") as temporary:
                temporary.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")
        return folder


def coco_dataset(results: Iterable[PartSegmentation], file_names: Iterable[str] | None = None) -> dict[str, Any]:
    """The results of several images as one file of COCO: `images`, `annotations` and `categories`, with ids from 1.

    Raises:
        ConfigurationError: The results are of different classes, or there are not as many names as results.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: list[dict[str, Any]] = []
    names = repeat("") if file_names is None else iter(file_names)
    for number, result in enumerate(results, start=1):
        name = next(names, None)
        if name is None or (categories and result.coco_categories() != categories):
            raise ConfigurationError(f"Result {number} has no file name, or other classes than those before.")
        categories = result.coco_categories()
        images.append(result.coco_image(number, name))
        annotations += result.to_coco(number, first_id=len(annotations) + 1)
    return {"images": images, "annotations": annotations, "categories": categories}
