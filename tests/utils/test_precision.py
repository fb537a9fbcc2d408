"""The precision that a device gets."""

import logging

import pytest
import torch
from accelerate.state import AcceleratorState

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.utils import precision
from ovparts_hf.utils.precision import cpu_has_bf16, usable_precision


@pytest.fixture(autouse=True)
def fresh_state():
    precision._warn_once.cache_clear()
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def flags(monkeypatch):
    """What the CPU can do, for the test to set."""
    values = {"architecture": "x86_64", "avx2": True, "avx512_f": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: values, raising=False)
    return values


@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16", "bf16"])
def test_bf16_is_kept_where_the_cpu_has_it(flag, flags, caplog):
    flags[flag] = True
    assert usable_precision("bf16", cpu=True) == "bf16"
    assert not caplog.records


def test_float32_replaces_bf16_elsewhere_and_one_warning_says_so(flags, caplog):
    flags["avx512_bf16"] = False
    with caplog.at_level(logging.WARNING):
        assert [usable_precision("bf16", cpu=True) for _ in range(2)] == ["no", "no"]
    assert [record.message for record in caplog.records] == [
        "This CPU has no bf16 instructions, so that bf16 would be slower; float32 is used."
    ]


def test_earlier_versions_of_torch_know_one_flag(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for answer in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=answer: answer)
        assert cpu_has_bf16() is answer


def test_float32_stays(flags):
    assert usable_precision("no", cpu=True) == "no"


def test_fp16_needs_a_gpu(flags):
    with pytest.raises(ConfigurationError, match='"fp16" needs a GPU; on a CPU choose "no" or "bf16"'):
        usable_precision("fp16", cpu=True)
