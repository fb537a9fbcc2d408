"""Leaves out what `skips.txt` names, and in the normal suite what takes long."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import pytest

from .suite import ALL

HERE = Path(__file__).parent
MARKERS = ("accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "torch_compile_test")
LONG = (
    "*::test_bc_torch_dtype",
    "*_matches_sdpa_inference_*fp16_*",
    "*_matches_sdpa_inference_*bf16_*",
    "*_matches_sdpa_inference_*_pad_left",  # with PyTorch's other kernels for attention, which are not our matter
    "*_matches_sdpa_inference_*_pad_right",
    "*_matches_sdpa_inference_*_no_attn_mask",
    "*_matches_sdpa_inference_*_pad_right_no_attn_mask_*",  # without a mask there is nothing to pad on either side
    "*_use_reentrant_*",
)
"""What the normal suite leaves out, for its time."""
SKIPS = [
    line.split(maxsplit=1)
    for line in (HERE / "skips.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if HERE in item.path.parents]
    unused = {pattern for pattern, _ in SKIPS}
    long = set()
    for item in here:
        name = "::".join(item.nodeid.split("::")[1:])
        if any(fnmatch(name, pattern) for pattern in LONG):
            long.add(item)
        for pattern, reason in SKIPS:
            if fnmatch(name, pattern):
                unused.discard(pattern)
                item.add_marker(pytest.mark.skip(reason=reason))
    classes = {item.nodeid.split("::")[1] for item in here}
    stale = [pattern for pattern in unused if pattern.split("::")[0] in classes]
    if stale and ALL in os.environ:
        raise pytest.UsageError(f"skips.txt names tests that there are not: {sorted(stale)}.")
    if ALL not in os.environ:  # `python -m tests.conformity` runs them
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: transformers' own")
