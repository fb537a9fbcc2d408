"""Random damage to bytes and to JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

ABSURD = [
    *(None, True, False, -1, 0, 1, 2, 255, 256, 65_536, 10**6, 10**9, 2**31, 2**63, 10**400, -(10**9)),
    *(0.5, 1e308, -1e-308, float("nan"), float("inf"), "", "x", "x" * 5000, "\ud800", "\0", "../../x", "/etc/passwd"),
    *([], {}, [[]], [None], {"a": 1}, [0] * 70_000, [1, "a"], {"": {"": []}}),
]


def mutate_bytes(numbers: random.Random, data: bytes) -> bytes:
    """Flips, cuts, repeats, removes or overwrites some bytes; never returns what it was given."""
    if not data:
        return b"\0"
    kind = numbers.randrange(7)
    start = numbers.randrange(len(data) if numbers.random() < 0.5 else min(len(data), 512))
    length = min(1 + int(numbers.expovariate(0.1)), len(data) - start)
    if kind == 0:
        return data[:start]
    if kind == 1:
        return data[:start] + data[start + length :]
    if kind == 2:
        return data[: start + length] + data[start:]
    if kind == 3:
        return data[:start] + numbers.randbytes(length) + data[start:]
    if kind == 4:
        return numbers.choice([b"", data + data, data + b"\0" * 1000, b"<!DOCTYPE html><html>Sign in</html>"])
    damaged = bytearray(data)
    for _ in range(1 if kind == 5 else numbers.randint(2, 20)):
        place = numbers.randrange(len(data) if numbers.random() < 0.5 else min(len(data), 512))
        damaged[place] ^= 1 << numbers.randrange(8)
    return bytes(damaged) if damaged != data else data[:-1]


def mutate_json(numbers: random.Random, value: Any) -> str:
    """The text of a JSON value after a change at a random place, which may leave it without a meaning."""
    if numbers.random() < 0.1:
        text = json.dumps(value)
        return numbers.choice([text[: numbers.randrange(len(text))], "[" * 100_000, text.replace("{", "", 1), "null"])
    value = json.loads(json.dumps(value))
    for _ in range(numbers.choice([1, 1, 1, 2, 5])):
        value = _change(numbers, value)
    return json.dumps(value)


def _change(numbers: random.Random, value: Any) -> Any:
    places = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    if not places or numbers.random() < 0.05:
        return _absurd(numbers)
    place = numbers.choice(list(places))
    kind = numbers.random()
    if isinstance(value[place], dict | list) and kind < 0.8:
        value[place] = _change(numbers, value[place])
    elif kind < 0.1:
        del value[place]
    elif kind < 0.2 and isinstance(value, dict):
        value[numbers.choice(["x", "", "auto_map", "\0", place.upper()])] = copy.deepcopy(value[place])
    elif kind < 0.2:
        value.append(copy.deepcopy(value[place]))
    elif kind < 0.3:
        value[place] = copy.deepcopy(value[numbers.choice(list(places))])
    else:
        value[place] = _absurd(numbers)
    return value


def _absurd(numbers: random.Random) -> Any:
    return copy.deepcopy(numbers.choice(ABSURD))
