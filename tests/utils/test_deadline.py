"""Limits on the time that work may take."""

import contextvars
import time
from threading import Thread

import pytest
import torch
from torch.nn.modules import module

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.post_processing import ScoreMaps, merge_score_maps
from ovparts_hf.utils.deadline import check_deadline, time_limit


def test_work_is_stopped_at_its_next_step():
    with pytest.raises(OVPartsError, match=r"longer than the 0\.01 seconds that are allowed"), time_limit(0.01):
        check_deadline()
        time.sleep(0.02)
        check_deadline()
    check_deadline()


def test_a_model_stops_between_its_layers():
    ran = []

    class Slow(torch.nn.Module):
        def forward(self, values):
            ran.append(values)
            time.sleep(0.05)
            return values

    with pytest.raises(OVPartsError, match="was stopped"), time_limit(0.12):
        torch.nn.Sequential(*(Slow() for _ in range(50)))(torch.zeros(1))
    assert 1 <= len(ran) <= 3
    assert not module._global_forward_pre_hooks


def test_merging_stops_between_bands(monkeypatch):
    monkeypatch.setattr("ovparts_hf.models.post_processing.BAND", 1)
    maps = [ScoreMaps(torch.zeros(2, 4, 4), (0, 1))]
    with pytest.raises(OVPartsError, match="was stopped"), time_limit(0.01):
        time.sleep(0.02)
        merge_score_maps(maps, (64, 64), 2)
    assert merge_score_maps(maps, (64, 64), 2)[0].shape == (64, 64)


def test_other_threads_have_no_limit():
    failed = []

    def other():
        try:
            torch.nn.Identity()(torch.zeros(1))
            check_deadline()
        except OVPartsError as error:
            failed.append(error)

    with time_limit(0.001):
        time.sleep(0.01)
        thread = Thread(target=contextvars.Context().run, args=(other,))
        thread.start()
        thread.join()
    assert not failed
