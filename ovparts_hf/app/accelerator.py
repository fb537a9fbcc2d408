"""Where a model runs for the page: here, or on the accelerator that a Space borrows for each request (ZeroGPU)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import OVPartsError
from ..utils.deadline import time_limit


def on_accelerator(segmenter: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The segmenter itself, or, after `import spaces`, what runs it by `spaces.GPU` for at most so many seconds.

    ZeroGPU runs it in another process, of whose errors only the class comes back; errors are thus returned.
    """
    spaces = sys.modules.get("spaces")
    if spaces is None:
        return segmenter

    @spaces.GPU(duration=seconds)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            with time_limit(seconds):
                return segmenter(*arguments, **options)
        except OVPartsError as error:
            return error

    def segment(*arguments: Any, **options: Any) -> Any:
        answer = run(*arguments, **options)
        if isinstance(answer, OVPartsError):
            raise answer
        return answer

    return segment
