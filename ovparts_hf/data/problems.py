"""Everything that is wrong with some files, collected instead of stopping at the first fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import DatasetError

T = TypeVar("T")

_SHOWN = 20  # problems in an error


class Problems(list[str]):
    """Messages about everything that is wrong, collected instead of stopping at the first fault."""

    def attempt(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """The result of a call, or None after noting the `DatasetError` that it raised."""
        try:
            return function(*arguments)
        except DatasetError as error:
            self.append(str(error))
            return None

    def refuse(self, name: str, advice: str = "") -> None:
        """Raises a `DatasetError` with the first problems of `name`, if there are any; `advice` is on the others."""
        if self:
            more = len(self) - _SHOWN
            shown = "\n".join(f"- {problem}" for problem in self[:_SHOWN])
            rest = f"\n({more:,} more{advice}.)" if more > 0 else ""
            raise DatasetError(f"{name} has {len(self):,} problem{'' if len(self) == 1 else 's'}:\n{shown}{rest}")


def left_out(counts: Counter[tuple[str, str]]) -> list[str]:
    """Sentences such as "Left out: 2 images without a label."; a key is a noun and what follows it."""
    return [f"Left out: {n:,} {noun}{'' if n == 1 else 's'} {rest}." for (noun, rest), n in counts.items() if n]
