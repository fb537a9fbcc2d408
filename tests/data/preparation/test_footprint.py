"""Preparing and checking load neither torch nor transformers, and need little memory."""

from pathlib import Path

import pytest

from ...footprint import packages_loaded

CHECK = """
from ovparts_hf.dataset_builders import RELEASES
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository

assert check({archive!r}, RELEASES, progress=False).ok
"""
PREPARE = """
write_repository(RELEASES["ade20k-part-234"]({archive!r}), {out!r}, progress=False)
assert check({out!r}, RELEASES, progress=False).ok
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
assert int(peak) / 1024 < 300, f"{{peak}} kB"
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_preparing_is_light(ade_archive, tmp_path):
    paths = {"archive": str(ade_archive), "out": str(tmp_path / "out")}
    loaded = packages_loaded(CHECK.format(**paths))
    assert "ovparts_hf" in loaded
    assert not {"torch", "transformers", "datasets", "pandas"} & loaded
    assert not {"torch", "transformers"} & packages_loaded((CHECK + PREPARE).format(**paths))
