"""The Hub that this process uses."""

import pytest
from huggingface_hub import constants


def use_endpoint(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Does what `HF_ENDPOINT` does for a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
