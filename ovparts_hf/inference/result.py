"""The parts that were found in an image."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import ConfigurationError
from ..taxonomy.part_taxonomy import straight
from ..utils.files import atomic_write, user_path
from ..utils.resize import resize_nearest
from . import visualization
from .instances import PartInstance, find_instances
from .interchange.coco import CocoFile, coco_annotation
from .interchange.detections import to_detections
from .ranking import Ranking

if TYPE_CHECKING:
    from supervision import Detections

    from .objects import ObjectMask

NONE = -1
"""Label of the pixels that are none of the classes."""
OVERLAY_EDGE = 2048
"""Longest side of an overlay by default, in pixels."""
_NOTEBOOK_EDGE = 1024
_NAMED = 5
_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False, repr=False)
class PartSegmentation:
    """Where the parts are in an image.

    Attributes:
        image: The image, RGB and upright.
        label_map: (H, W) int16, for each pixel an index into `classes`, or -1 for none of them.
        classes: The names that were looked for, such as "dog's head".
        scores: (classes,) float32 from 0 to 1, the mean score of a class over its pixels; 0 where it has none. Scores
            of different models mean different things.
        objects: (name, mask) of each object that was given, or that an object segmenter told apart; None: `instances`
            takes for an object what its parts form together.
        score_map: (H, W) float16 from 0 to 1, the score of each pixel's class, 0 for none; None if it is not known.
        ranking: The best classes of each pixel, if they were kept; see `at`.
        file_name: Name of the file that the image was read from, without its folder; empty if there was none.
    """

    image: Image.Image
    label_map: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray
    objects: tuple[ObjectMask, ...] | None = field(default=None, kw_only=True)
    score_map: np.ndarray | None = field(default=None, kw_only=True)
    ranking: Ranking | None = field(default=None, kw_only=True)
    file_name: str = field(default="", kw_only=True)

    def __repr__(self) -> str:
        parts = sorted(((area, name) for name, area in self.areas().items() if area), reverse=True)
        shares = [f"{name} {100 * area / self.label_map.size:.1f} %" for area, name in parts[:_NAMED]]
        found = f"{len(parts)} of {len(self.classes)} parts found"
        dots = ", ..." if len(parts) > _NAMED else ""
        size = f"{self.image.width} x {self.image.height}"
        return f"PartSegmentation({size}, {found}{': ' if shares else ''}{', '.join(shares)}{dots})"

    def _repr_png_(self) -> bytes:
        """The overlay, which a notebook shows."""
        png = io.BytesIO()
        self.overlay(longest_edge=_NOTEBOOK_EDGE).save(png, format="PNG")
        return png.getvalue()

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

    def instances(self, by: str = "component", min_area: int = 1) -> list[PartInstance]:
        """The parts one by one: of two dogs in the image, two heads.

        Args:
            by: "component": pixels of a class that touch, corners included, and belong to one object, are one instance.
                "object": all pixels of a class that belong to one object, so both ears of a dog together. "class": all
                pixels of a class. Objects are `objects`, or without them what the parts of an object form where they
                touch; free text belongs to none.
            min_area: Instances of fewer pixels are left out.

        Returns:
            Ordered by class, object and place.

        Raises:
            ConfigurationError: There is no such grouping, or min_area is below 1.
        """
        return find_instances(self, by, min_area)

    def at(self, x: int, y: int) -> list[tuple[str | None, float]]:
        """The class of a pixel and the three that score best besides, with their scores there.

        In images of more than 512 pixels a side, the scores are those of the nearest pixel of the image at that size.

        Args:
            x, y: The pixel, from the left and from the top.

        Returns:
            (class, score) pairs, the pixel's own first. None is no class, with a score of -1 if the model gives none.

        Raises:
            ConfigurationError: The result was made without `keep_ranking=True`, or the pixel is outside the image.
        """
        if self.ranking is None:
            raise ConfigurationError("The scores of pixels were not kept; segment the image with keep_ranking=True.")
        width, height = self.image.size
        if not (0 <= x < width and 0 <= y < height):
            raise ConfigurationError(
                f"The pixel {(x, y)} is outside the image, which is {width} wide and {height} high."
            )
        ranked = self.ranking.at((x + 0.5) / width, (y + 0.5) / height)
        return [(None if class_id == NONE else self.classes[class_id], score) for class_id, score in ranked]

    def to_coco(
        self, image_id: int = 1, first_id: int = 1, by: str = "component", min_area: int = 1
    ) -> list[dict[str, Any]]:
        """Annotations in COCO's format, JSON-ready; `coco_dataset` makes a whole file of several results.

        Args:
            image_id: Written into each annotation.
            first_id: `id` of the first annotation; the others count on. No two of a file may have the same.
            by: As for `instances`; "class" makes one annotation for each class that was found.
            min_area: As for `instances`.

        Returns:
            One for each instance: `segmentation` is run-length encoded (compressed, as pycocotools reads it),
            `category_id` is the index of the class plus 1, as 0 is no category to readers of COCO, `bbox` is (left,
            top, width, height) in pixels, `object_id` says which object of the image it is a part of, if that is known.
        """
        instances = self.instances(by, min_area)
        return [coco_annotation(instance, number, image_id) for number, instance in enumerate(instances, first_id)]

    def to_geojson(self, by: str = "component", min_area: int = 1) -> dict[str, Any]:
        """A collection of features of GeoJSON, one for each of the `instances`, whose coordinates are pixels."""
        features = [instance.to_geojson() for instance in self.instances(by, min_area)]
        return {"type": "FeatureCollection", "features": features}

    def to_supervision(self, by: str = "component", min_area: int = 1) -> Detections:
        """The `instances` as `supervision.Detections`, with class_name and object_id (-1: none) in its `data`.

        Raises:
            ConfigurationError: supervision is not installed.
        """
        return to_detections(self.instances(by, min_area))

    def coco_image(self, image_id: int = 1, file_name: str | None = None) -> dict[str, Any]:
        """The entry of `images` that `to_coco` refers to, by default with the result's own `file_name`."""
        name = self.file_name if file_name is None else file_name
        return {"id": image_id, "file_name": name, "width": self.image.width, "height": self.image.height}

    def coco_categories(self) -> list[dict[str, Any]]:
        """The entries of `categories`, of all classes, that `to_coco` refers to."""
        return [{"id": number, "name": name} for number, name in enumerate(self.classes, start=1)]

    def to_json(self) -> dict[str, Any]:
        """All but the image, JSON-ready: its size, every class with score, area and color, and a file of COCO.

        The file of COCO has one annotation for each class.
        """
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
            "annotations": self.to_coco(by="class"),
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
        labels: bool = False,
    ) -> Image.Image:
        """Paints the parts over the image; every class has a color of its own, the same in all images of a vocabulary.

        Args:
            alpha: Opacity of the paint, 0 to 1.
            legend: Whether the classes are listed below. Those with too few pixels to be seen are marked.
            only: Classes to paint; None for all.
            longest_edge: A larger image is shrunk to this many pixels first; None paints it at its size.
            labels: Whether the names are written on the regions.

        Raises:
            ConfigurationError: There is no such class, or alpha is out of range.
        """
        unknown = [name for name in only or () if name not in self.classes]
        if unknown:
            raise ConfigurationError(f"{unknown} are no classes of this result; its classes are {list(self.classes)}.")
        small = self if longest_edge is None else self.shrunk(longest_edge)
        label_map, found = small.label_map, np.flatnonzero(self._counts).tolist()
        if only is not None:
            shown = {self.classes.index(name) for name in only}
            label_map = np.where(np.isin(label_map, list(shown)), label_map, NONE)
            found = [class_id for class_id in found if class_id in shown]
        return visualization.overlay(small.image, label_map, self.classes, alpha, legend, labels, found)

    def shrunk(self, longest_edge: int) -> PartSegmentation:
        """The same with image and label map shrunk to a longer side of `longest_edge` pixels, if they are larger."""
        scale = longest_edge / max(self.image.size)
        if scale >= 1:
            return self
        size = max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale))
        image = self.image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        objects = self.objects
        if objects is not None:
            objects = tuple(each._replace(mask=resize_nearest(each.mask, size[::-1])) for each in objects)
        label_map = resize_nearest(self.label_map, size[::-1])
        score_map = None if self.score_map is None else resize_nearest(self.score_map, size[::-1])
        return replace(self, image=image, label_map=label_map, objects=objects, score_map=score_map)

    def save(self, folder: str | Path, overlay: bool = True, details: bool = True, labels: bool = False) -> Path:
        """Writes `label_map.png` (see `label_image`), `overlay.png` and `parts.json` (see `to_json`).

        Args:
            folder: Is made if it is missing. Of an existing one these files are replaced, or removed if they are not
                written now: they belong to an earlier result.
            overlay: Whether to write the overlay.
            details: Whether to write the JSON file.
            labels: Whether names are written on the regions of the overlay.

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
                self.overlay(labels=labels).save(temporary)
        if details:
            with atomic_write(folder / "parts.json") as temporary:
                temporary.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")
        return folder


def coco_dataset(
    results: Iterable[PartSegmentation],
    file_names: Iterable[str] | None = None,
    by: str = "component",
    min_area: int = 1,
) -> dict[str, Any]:
    """The results of several images as one file of COCO: `images`, `annotations` and `categories`, with ids from 1.

    Args:
        results: Of the same classes.
        file_names: Of the images; by default each result's own `file_name`.
        by: As for `PartSegmentation.instances`.
        min_area: Likewise.

    Raises:
        ConfigurationError: The results are of different classes, or there are not as many names as results.
    """
    file = CocoFile()
    names = None if file_names is None else iter(file_names)
    for number, result in enumerate(results, start=1):
        name = result.file_name if names is None else next(names, None)
        if name is None:
            raise ConfigurationError(f"Result {number} has no file name; give one for each.")
        file.add(result, name, result.instances(by, min_area))
    return file.dataset
