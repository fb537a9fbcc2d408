"""The Hub's check of cards, for this process."""

from collections.abc import Iterator

import pytest
from huggingface_hub import constants

from .validator import serving


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield
