"""Label maps made sharper: a refiner is shown roughly where each part is, and says where exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from ..errors import ConfigurationError
from ..models.loading import ModelSource
from ..utils.arguments import binary_mask
from .adapters.loading import adapter_for, load_refiner, load_segmenter
from .adapters.refiner import Refiner

SMALLEST = 32
"""Pixels of a region; smaller ones stay as they are."""
REGIONS = 16
"""Of a class, at most so many are refined, the largest ones."""


class MaskRefiner(Protocol):
    """Makes masks sharper: any function like this."""

    def __call__(self, image: Image.Image, masks: np.ndarray) -> np.ndarray:
        """(n, height, width) bool, the masks of the same things as the given ones, which are likewise."""


class PretrainedRefiner:
    """A `MaskRefiner`: SAM 2 or the tracker of SAM 3, shown the box of each mask and the point deepest inside."""

    def __init__(self, refiner: Refiner, image_processor: Any) -> None:
        self.refiner = refiner
        self.image_processor = image_processor
        self._latest: tuple[Any, Any] = (None, None)

    @classmethod
    def load(cls, name_or_path: str | Path, device: Any = None) -> PretrainedRefiner:
        """Loads a model of transformers by its folder or Hub id."""
        refiner, image_processor = load_refiner(name_or_path)
        return cls(refiner.to(device), image_processor)

    def __str__(self) -> str:
        return self.refiner.name

    @torch.no_grad()
    def __call__(self, image: Image.Image, masks: np.ndarray) -> np.ndarray:
        shape = np.array([image.width, image.height])
        boxes, points = zip(*(_box_and_point(mask) for mask in masks))
        device = next(self.refiner.parameters()).device
        prompts = [torch.tensor(np.array(each), dtype=torch.float32, device=device) for each in (boxes, points)]
        scale = torch.tensor(shape, dtype=torch.float32, device=device)
        embedded, (boxes, points) = self._embed(image, device), prompts
        refined = self.refiner.masks(embedded, boxes / scale.repeat(2), points / scale)
        sharp = np.empty(masks.shape, dtype=bool)
        for row, mask in zip(sharp, refined):  # one by one: an image may be large
            resized = F.interpolate(mask[None, None], row.shape, mode="bilinear", align_corners=False)
            row[:] = (resized[0, 0] > 0.5).cpu().numpy()
        return sharp

    def _embed(self, image: Image.Image, device: Any) -> Any:
        """What the refiner makes of the image, which is the same for all classes in it."""
        latest = self._latest  # of which another thread may replace the whole
        if image is not latest[0]:
            pixels = self.image_processor(images=[image], return_tensors="pt")["pixel_values"]
            latest = self._latest = (image, self.refiner.embed(pixels.to(device)))
        return latest[1]


def sharpen(
    image: Image.Image,
    label_map: np.ndarray,
    scores: Mapping[int, float],
    refiner: MaskRefiner,
    keep: bool = False,
    allowed: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """A label map (height, width), -1 for none, in which the regions of each class are replaced by sharper ones.

    Where regions overlap, the class with the highest of the `scores` wins, of equals the lowest id. A pixel that no
    region covers any more becomes none, or keeps its class with `keep`. `allowed`: where each class may be.
    """
    sharp = label_map.copy() if keep else np.where(label_map < 0, label_map, -1)
    classes = [int(i) for i in np.unique(label_map) if i >= 0]
    for i in sorted(classes, key=lambda i: (scores[i], -i)):
        regions, rest = _regions(label_map == i)
        mask = rest
        if len(regions):
            refined = binary_mask("result of a refiner", refiner(image, regions))
            if refined.shape != regions.shape:
                raise ConfigurationError(
                    f"A refiner must return masks of the shape it is given, {regions.shape}; this one returned "
                    f"{refined.shape}."
                )
            mask = mask | refined.any(0)
        sharp[mask if allowed is None else mask & allowed[i]] = i
    return sharp


def regions_of(objects: Sequence[tuple[Sequence[int], np.ndarray]]) -> dict[int, np.ndarray]:
    """Where each class may be, from the classes and the mask of each object."""
    allowed: dict[int, np.ndarray] = {}
    for classes, mask in objects:
        for i in classes:
            allowed[i] = allowed[i] | mask if i in allowed else mask
    return allowed


def load_with_refiner(
    name_or_path: str | Path | ModelSource,
    prompt: str | None = None,
    refiner: str | Path | MaskRefiner | None = None,
    class_names: Mapping[str, str] | None = None,
    device: Any = None,
) -> tuple[Any, Any, MaskRefiner | None]:
    """`load_segmenter`, where a detector takes the refiner for its boxes; for others, what refines their label maps."""
    source = name_or_path if isinstance(name_or_path, ModelSource) else ModelSource(name_or_path)
    adapter = adapter_for(source)
    named = isinstance(refiner, str | Path)
    if named and adapter is not None and adapter.takes_refiner:
        return *load_segmenter(source, prompt, refiner, class_names), None
    if named:
        refiner = PretrainedRefiner.load(refiner, device)
    return *load_segmenter(source, prompt, class_names=class_names), refiner


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected regions (n, height, width) of a mask that are to be refined, and the rest of it."""
    numbers, count = ndimage.label(mask)
    areas = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    largest = [i + 1 for i in np.argsort(-areas, kind="stable")[:REGIONS] if areas[i] >= SMALLEST]
    regions = np.stack([numbers == i for i in largest]) if largest else np.empty((0, *mask.shape), dtype=bool)
    return regions, mask & ~regions.any(0)


def _box_and_point(mask: np.ndarray) -> tuple[tuple[int, int, int, int], tuple[float, float]]:
    """(left, top, right, bottom) of a mask in pixels, and the centre (x, y) of the pixel deepest inside."""
    rows, columns = ndimage.find_objects(mask.astype(np.int8))[0]
    depth = ndimage.distance_transform_edt(np.pad(mask[rows, columns], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return (columns.start, rows.start, columns.stop, rows.stop), (columns.start + x + 0.5, rows.start + y + 0.5)
