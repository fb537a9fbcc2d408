"""What a training run wrote, for a report: curves of its log, and the pictures that it drew on the way."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError

LOG_FILE, SAMPLES = "log.jsonl", "samples"
_CHARTS: Mapping[str, Mapping[str, str]] = {
    "Loss": {"loss": "plain"},
    "IoU of evaluations, in percent": {"eval_mIoU_seen": "seen", "eval_mIoU_unseen": "unseen", "eval_hIoU": "plain"},
    "Learning rate": {"learning_rate": "plain"},
    "Gradient norm before clipping": {"gradient_norm": "plain"},
    "Images per second": {"images_per_second": "plain"},
}
"""Heading -> name of each number in the log and the class of its line."""
_NAMES = {"eval_mIoU_seen": "seen", "eval_mIoU_unseen": "unseen", "eval_hIoU": "harmonic mean"}
_WIDTH, _HEIGHT = 320, 120
_MOST_POINTS = 400
_MOST_SAMPLES = 4


@dataclass(frozen=True)
class Line:
    """A number over steps."""

    name: str  # empty if it is the only one of its chart
    style: str  # "plain", "seen" or "unseen"
    points: str  # as SVG has them
    last: float


@dataclass(frozen=True)
class Chart:
    """Lines with common axes."""

    title: str
    lines: Sequence[Line]
    lowest: float
    highest: float
    first_step: int
    last_step: int
    width: int = _WIDTH
    height: int = _HEIGHT


def read_charts(run: Path) -> list[Chart]:
    """The charts of a run's folder; those whose numbers are not in the log are left out.

    Raises:
        ConfigurationError: The folder holds no log.
    """
    try:
        text = (run / LOG_FILE).read_bytes().decode(errors="replace")
    except OSError as error:
        raise ConfigurationError(f"{run} is not the folder of a training run: it has no {LOG_FILE}.") from error
    entries = list(_entries(text))
    charts = (_chart(title, styles, entries) for title, styles in _CHARTS.items())
    return [chart for chart in charts if chart is not None]


def read_samples(run: Path) -> list[dict[str, Any]]:
    """The first and the last pictures of predictions that a run drew, and some between: heading, and an image's URL."""
    files = sorted((run / SAMPLES).glob("step-*.jpg"))
    count = min(len(files), _MOST_SAMPLES)
    chosen = [files[round(i * (len(files) - 1) / max(count - 1, 1))] for i in range(count)]
    return [
        {
            "title": f"After {int(file.stem.removeprefix('step-')):,} steps",
            "source": f"data:image/jpeg;base64,{base64.b64encode(file.read_bytes()).decode('ascii')}",
        }
        for file in chosen
    ]


def run_of_model(name_or_path: str) -> Path | None:
    """The folder of the run that trained a model, if the model still lies in it."""
    folder = Path(name_or_path).parent
    with suppress(OSError):
        return folder if (folder / LOG_FILE).is_file() else None
    return None


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        with suppress(ValueError):  # a line that was left half written
            entry = json.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                yield entry


def _chart(title: str, styles: Mapping[str, str], entries: Sequence[Mapping[str, Any]]) -> Chart | None:
    found = {key: _thinned([(e["step"], e[key]) for e in entries if _is_number(e.get(key))]) for key in styles}
    found = {key: pairs for key, pairs in found.items() if pairs}
    if not found:
        return None
    steps = [step for pairs in found.values() for step, _ in pairs]
    values = [value for pairs in found.values() for _, value in pairs]
    ranges = (min(steps), max(steps)), (min(values), max(values))
    lines = [
        Line(_NAMES.get(key, ""), styles[key], _points(pairs, *ranges), pairs[-1][1]) for key, pairs in found.items()
    ]
    return Chart(title, lines, *ranges[1], *ranges[0])


def _thinned(pairs: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most `_MOST_POINTS` of them, with the last."""
    return pairs[:: -max(1, math.ceil(len(pairs) / _MOST_POINTS))][::-1]


def _points(pairs: Sequence[tuple[int, float]], steps: tuple[int, int], values: tuple[float, float]) -> str:
    return " ".join(
        f"{_WIDTH * _share(step, *steps):.1f},{_HEIGHT * (1 - _share(value, *values)):.1f}" for step, value in pairs
    )


def _share(value: float, lowest: float, highest: float) -> float:
    return (value - lowest) / (highest - lowest) if highest > lowest else 0.5


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
