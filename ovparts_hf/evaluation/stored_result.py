"""Results as files hold them: in which layout, and whether they are results at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..metrics.scores import MEANS
from ..utils.files import read_json

SCHEMA_VERSION = 3
_RENAMED_KEYS = {"num_pictures": "num_images", "pictures_per_second": "images_per_second"}
"""Keys of `dataset` and `timings` in layouts 1 and 2, with their names since."""
_TYPES = {
    **dict.fromkeys(("metrics", "dataset", "model", "intervals", "breakdowns", "config"), dict),
    **dict.fromkeys(("hardware", "timings", "versions"), dict),
    **dict.fromkeys(("task", "setting", "flavour", "created"), str),
    **dict.fromkeys(("seed", "schema_version"), int),
    "classes": list,
}
"""Fields of `BenchmarkResult`, and the types that JSON has for them."""
_BREAKDOWNS = {"objects": dict, "parts": dict, "sizes": dict, "confusions": list}


def read_result(path: str | Path) -> dict[str, Any]:
    """The fields of a `BenchmarkResult`, of this or an earlier layout; another file is a `ConfigurationError`."""
    data = _in_present_layout(read_json(path, ConfigurationError, "Give what `ovparts evaluate --out` wrote."))
    _check_keys(path, data)
    for key in ("metrics", "intervals", "breakdowns"):
        data[key] = map_leaves(data[key], lambda leaf: float("nan") if leaf is None else leaf)
    fault = next((name for name, kind in _TYPES.items() if not isinstance(data[name], kind)), None) or _fault(data)
    if fault is not None:
        raise ConfigurationError(
            f"{path} is not a benchmark result: {fault!r} does not hold what BenchmarkResult.to_json writes. Evaluate "
            "again."
        )
    return data


def map_leaves(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same dicts and lists (also for tuples) with `function` of everything else."""
    if isinstance(value, dict):
        return {key: map_leaves(entry, function) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [map_leaves(entry, function) for entry in value]
    return function(value)


def _in_present_layout(data: Any) -> Any:
    """The content of layouts 1 and 2 as `SCHEMA_VERSION` has it; anything else as it is."""
    if not isinstance(data, dict) or data.get("schema_version") not in (1, 2):
        return data
    if data["schema_version"] == 1:
        data = {**data, "flavour": "ov_parts", "intervals": {}, "breakdowns": {}}
    renamed = {
        name: {_RENAMED_KEYS.get(key, key): value for key, value in data[name].items()}
        for name in ("dataset", "timings")
        if isinstance(data.get(name), dict)
    }
    return {**data, **renamed, "schema_version": SCHEMA_VERSION}


def _check_keys(path: str | Path, data: Any) -> None:
    keys = set(data) if isinstance(data, dict) else set()
    if "schema_version" in keys and data["schema_version"] != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} has schema_version {data['schema_version']!r}, but this library reads {SCHEMA_VERSION}. Read it "
            f"with the library that wrote it, or evaluate again. It was written by {data.get('versions')}."
        )
    if keys != set(_TYPES):
        raise ConfigurationError(
            f"{path} is not a benchmark result: the keys {sorted(set(_TYPES) - keys)} are missing and "
            f"{sorted(keys - set(_TYPES))} are unknown. Give a file that BenchmarkResult.to_json wrote."
        )


def _fault(data: dict[str, Any]) -> str | None:
    """The first field whose content is wrong, where its type is right."""
    metrics, rows, breakdowns = data["metrics"], data["classes"], data["breakdowns"]
    sets = [metrics, *(metrics[key] for key in ("strict", "boundary") if key in metrics)]
    if not all(isinstance(row, dict) and _is_class(row) for row in rows):
        return "classes"
    names, extra = [row["name"] for row in rows], metrics.get("extra_scores", {})
    if not all(isinstance(numbers, dict) and _has_numbers(numbers.get("IoU", {}), names) for numbers in sets):
        return "metrics"
    right = {
        "metrics": _has_numbers(metrics, MEANS)
        and all(_are_numbers(numbers.get(key, 0)) for numbers in sets for key in MEANS)
        and isinstance(extra, dict)
        and _are_numbers(*extra.values()),
        "dataset": isinstance(data["dataset"].get("name"), str),
        "model": isinstance(data["model"].get("name"), str),
        "intervals": all(
            isinstance(ends, list) and len(ends) == 2 and _are_numbers(*ends) for ends in data["intervals"].values()
        ),
        "timings": _are_numbers(*data["timings"].values()),
        "breakdowns": all(isinstance(breakdowns.get(key, kind()), kind) for key, kind in _BREAKDOWNS.items())
        and _are_numbers(*breakdowns.get("sizes", {}).values())
        and (
            not breakdowns
            or all(_has_numbers(pair, ("pixels", "share")) for pair in breakdowns.get("confusions", [None]))
        ),
    }
    return next((name for name, is_right in right.items() if not is_right), None)


def _is_class(row: dict[str, Any]) -> bool:
    return all(isinstance(row.get(key), str) for key in ("name", "object", "part")) and isinstance(
        row.get("seen"), bool
    )


def _has_numbers(values: Any, keys: Any) -> bool:
    return isinstance(values, dict) and _are_numbers(*(values.get(key) for key in keys))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
