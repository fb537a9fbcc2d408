"""Everything that is wrong with some files, collected instead of stopping at the first fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import DatasetError

T = TypeVar("T")


class Problems(list[str]):
    """Messages about everything that is wrong, collected instead of stopping at the first fault."""

    def attempt(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """The result of a call, or None after noting the `DatasetError` that it raised."""
        try:
            return function(*arguments)
        except DatasetError as error:
            self.append(str(error))
            return None
