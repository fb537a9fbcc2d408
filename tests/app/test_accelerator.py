"""Spaces that borrow an accelerator for each request."""

import pickle
import sys
from types import SimpleNamespace

import pytest

from ovparts_hf.app.accelerator import on_accelerator
from ovparts_hf.errors import OVPartsError
from ovparts_hf.utils.deadline import check_deadline


def double(x, fail=False, wait=False):
    if fail:
        raise OVPartsError("no")
    while wait:
        check_deadline()
    return 2 * x


@pytest.fixture
def durations(monkeypatch):
    """Of a package like `spaces`, whose decorated functions run in another process: what goes there is pickled."""
    asked = []

    def gpu(duration):
        asked.append(duration)
        return lambda function: (
            lambda *a, **k: pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(a)), **k)))
        )

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    return asked


def test_elsewhere_the_model_just_runs():
    assert on_accelerator(double, 1) is double


def test_a_space_runs_it_for_a_bounded_time(durations):
    segment = on_accelerator(double, 0.2)
    assert durations == [0.2]
    assert segment(3) == 6
    with pytest.raises(OVPartsError, match="longer than the 0.2 seconds"):
        segment(3, wait=True)


def test_errors_come_back_whole(durations):
    with pytest.raises(OVPartsError, match="no"):
        on_accelerator(double, 1)(3, fail=True)
