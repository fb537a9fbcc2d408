"""What `ovparts predict` says about the parts it found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inference.result import PartSegmentation

_MISSING = 10


def describe_parts(result: PartSegmentation) -> str:
    """The parts that were found, largest first, with their shares of the image."""
    areas = sorted(((area, name) for name, area in result.areas().items() if area), reverse=True)
    found = [f"{name} {100 * area / result.label_map.size:.1f} %" for area, name in areas]
    return ", ".join(found) or "none of the parts"


class Totals:
    """How often each part was found in a run, how large and how surely."""

    def __init__(self) -> None:
        self.images = 0
        self.classes: tuple[str, ...] = ()
        self._found: Counter[str] = Counter()
        self._shares: Counter[str] = Counter()
        self._scores: Counter[str] = Counter()

    def add(self, result: PartSegmentation) -> None:
        """Counts an image, or a frame of a video."""
        self.images += 1
        self.classes = result.classes
        for (name, area), score in zip(result.areas().items(), result.scores.tolist()):
            if area:
                self._found[name] += 1
                self._shares[name] += area / result.label_map.size
                self._scores[name] += score

    def table(self) -> str:
        """A line for each part that was found, the most frequent first; means are over the images with the part."""
        if not self.images:
            return "No image was segmented."
        rows = [("part", "images", "mean area", "mean score")]
        for name in sorted(self._found, key=lambda name: (-self._found[name], -self._shares[name])):
            count = self._found[name]
            share, score = self._shares[name] / count, self._scores[name] / count
            rows.append((name, f"{count} of {self.images}", f"{share:.1%}", f"{score:.2f}"))
        first, *others = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join([name.ljust(first), *map(str.rjust, cells, others)]) for name, *cells in rows]
        missing = [name for name in self.classes if name not in self._found]
        if missing:
            dots = f" and {len(missing) - _MISSING} more" if len(missing) > _MISSING else ""
            lines.append(f"not found: {', '.join(missing[:_MISSING])}{dots}")
        return "\n".join(lines)
