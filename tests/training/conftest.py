"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def fresh_accelerate_state() -> Iterator[None]:
    """Accelerate keeps settings such as the precision for the whole process; each test sets its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
