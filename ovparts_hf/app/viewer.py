"""What the page shows of an answer: the image, painted, and the best classes of each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gradio import FileData
from PIL import Image
from scipy import ndimage

from ..inference.ranking import RANKING_EDGE, Ranking
from ..inference.result import OVERLAY_EDGE, PartSegmentation
from ..utils.deadline import check_deadline

_NO_ID, _NO_SCORE = 65535, 255
_LABELLED = 0.005  # of the image's area, for a region that is not the largest of its part


class View(NamedTuple):
    """An answer as it is kept for a visitor: results of one or two models, and what the viewer is given."""

    results: list[PartSegmentation]
    value: dict[str, Any]

    @classmethod
    def of(cls, results: Mapping[str, PartSegmentation], folder: Path) -> View:
        """Writes what the browser needs into a folder."""
        first = next(iter(results.values()))
        value: dict[str, Any] = {"names": list(first.classes), "answers": []}
        shown = [replace(result.shrunk(OVERLAY_EDGE), ranking=None) for result in results.values()]
        value["plain"] = _file(shown[0].image, folder / "plain.jpg", quality=90)
        for number, (model, result) in enumerate(results.items()):
            check_deadline()
            ranking = _file(_ranking_image(result.ranking), folder / f"ranking_{number}.png")
            value["answers"].append({"model": model if len(results) > 1 else "", "ranking": ranking})
        return cls(shown, value).painted(None, folder)

    def painted(self, parts: Sequence[str] | None, folder: Path) -> View:
        """The same with only some of the parts painted; None for all."""
        files, labels = [], []
        for number, result in enumerate(self.results):
            check_deadline()
            files.append(_file(result.overlay(legend=False, only=parts), folder / f"painted_{number}.png"))
            labels.append([label for label in _labels(result) if parts is None or label["name"] in parts])
        return self._replace(value=self.value | {"painted": files, "labels": labels})


def _ranking_image(ranking: Ranking) -> Image.Image:
    """Ranks below each other; red and green are the class, blue the score in percent."""
    ids = np.where(ranking.ids < 0, _NO_ID, ranking.ids).astype(np.uint16)
    scores = np.where(ranking.scores < 0, _NO_SCORE, np.rint(ranking.scores * 100)).astype(np.uint8)
    pixels = np.stack([(ids >> 8).astype(np.uint8), (ids & 255).astype(np.uint8), scores], axis=-1)
    return Image.fromarray(pixels.reshape(-1, *pixels.shape[2:]))


def _labels(result: PartSegmentation) -> list[dict[str, Any]]:
    """Where names are written: in the middle of each region that is large enough, from 0 to 1 of width and height."""
    small = result.shrunk(RANKING_EDGE)
    height, width = small.label_map.shape
    places = []
    for class_id, box in enumerate(ndimage.find_objects(small.label_map + 1)):
        if box is None:
            continue
        regions, count = ndimage.label(small.label_map[box] == class_id)
        depth = ndimage.distance_transform_cdt(np.pad(regions > 0, 1))[1:-1, 1:-1]
        sizes = np.bincount(regions.ravel())[1:]
        middles = ndimage.maximum_position(depth, regions, range(1, count + 1))
        for size, (y, x) in zip(sizes, middles):
            if size >= _LABELLED * height * width or size == sizes.max():
                place = {"x": (box[1].start + x + 0.5) / width, "y": (box[0].start + y + 0.5) / height}
                places.append({"name": small.classes[class_id], **place})
    return places


def _file(image: Image.Image, path: Path, **options: Any) -> dict[str, Any]:
    image.save(path, **options)
    return FileData(path=str(path)).model_dump()
