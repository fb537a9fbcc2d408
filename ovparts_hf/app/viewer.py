"""What the page shows of an answer: the image, painted, and the best classes of each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gradio import FileData
from PIL import Image

from ..inference.captions import find_regions
from ..inference.ranking import RANKING_EDGE, Ranking
from ..inference.result import OVERLAY_EDGE, PartSegmentation
from ..utils.deadline import check_deadline

_NO_ID, _NO_SCORE = 65535, 255


class View(NamedTuple):
    """An answer as it is kept for a visitor: results of one or two models, and what the viewer is given."""

    results: list[PartSegmentation]
    value: dict[str, Any]

    @classmethod
    def of(cls, results: Mapping[str, PartSegmentation], folder: Path) -> View:
        """Writes what the browser needs into a folder."""
        first = next(iter(results.values()))
        value: dict[str, Any] = {"names": list(first.classes), "answers": []}
        shown = [_lightened(result.shrunk(OVERLAY_EDGE)) for result in results.values()]
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
            painted = result.overlay(legend=False, only=parts)
            files.append(_file(painted, folder / f"painted_{number}.png", compress_level=3))  # sooner seen
            labels.append([label for label in _labels(result) if parts is None or label["name"] in parts])
        return self._replace(value=self.value | {"painted": files, "labels": labels})


def _lightened(result: PartSegmentation) -> PartSegmentation:
    """What is needed to paint parts anew, without the rest."""
    return replace(result, ranking=None, objects=None, score_map=None)


def _ranking_image(ranking: Ranking) -> Image.Image:
    """Ranks below each other; red and green are the class, blue the score in percent."""
    ids = np.where(ranking.ids < 0, _NO_ID, ranking.ids).astype(np.uint16)
    scores = np.where(ranking.scores < 0, _NO_SCORE, np.rint(ranking.scores * 100)).astype(np.uint8)
    pixels = np.stack([(ids >> 8).astype(np.uint8), (ids & 255).astype(np.uint8), scores], axis=-1)
    return Image.fromarray(pixels.reshape(-1, *pixels.shape[2:]))


def _labels(result: PartSegmentation) -> list[dict[str, Any]]:
    """Where names are written: well inside each region, from 0 to 1 of width and height."""
    labels = result.shrunk(RANKING_EDGE).label_map
    height, width = labels.shape
    return [
        {"name": result.classes[class_id], "x": (x + 0.5) / width, "y": (y + 0.5) / height}
        for _, x, y, class_id in find_regions(labels)
    ]


def _file(image: Image.Image, path: Path, **options: Any) -> dict[str, Any]:
    image.save(path, **options)
    return FileData(path=str(path)).model_dump()
