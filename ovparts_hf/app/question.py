"""A question to the page, and the link that asks it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .limits import Limits


@dataclass(frozen=True)
class Question:
    """All that a visitor says, except for an image of theirs.

    Args:
        words: Objects and their parts.
        background: Whether pixels may be none of the parts.
        threshold: What scores less is none; 0 for no limit.
        top_k: At most so many parts; 0 for all.
        boxes: Where the objects are.
        model: Which model answers; "" for the first.
        other: Another one to compare it with; "" for none.
        example: The number of an example from 0 on; -1 for an image of the visitor's own.
    """

    words: str = ""
    background: bool = True
    threshold: float = 0.0
    top_k: int = 0
    boxes: str = ""
    model: str = ""
    other: str = ""
    example: int = -1

    def query(self) -> str:
        """What comes behind the address of the page, such as "?words=dog%3A+ear"."""
        defaults = asdict(type(self)())
        changed = {name: value for name, value in asdict(self).items() if value not in (None, defaults[name])}
        return "?" + urlencode({name: int(value) if value is False else value for name, value in changed.items()})

    @classmethod
    def from_query(cls, query: str, limits: Limits) -> Question | None:
        """Reads a `query`; what is unknown or cannot be read keeps its default, and None is no question at all."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in parse_qsl(query.removeprefix("?")):
            kind = kinds.get(name)
            try:
                values |= {name: text != "0" if kind is bool else kind(text[: limits.characters])} if kind else {}
            except ValueError:
                continue
        return cls(**values) if values else None
