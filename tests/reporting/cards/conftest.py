"""The Hub's check of cards, for this process."""

import inspect
from collections.abc import Iterator

import pytest
from huggingface_hub import RepoCard, constants

from .validator import serving


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if "constants.ENDPOINT" not in inspect.getsource(RepoCard.validate):
        pytest.skip("this huggingface_hub sends every card to huggingface.co")
    with serving() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield
