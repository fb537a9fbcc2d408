"""A sample of what `python -m tests.fuzz` runs for longer: the first cases of each fuzzer."""

import pytest

from .fuzzers import FUZZERS
from .runner import Report

CASES = {"kill": 4, "archive": 40, "checkpoint": 90, "image": 150}


@pytest.mark.parametrize("name", FUZZERS)
def test_the_first_cases(name, tmp_path):
    fuzzer, report = FUZZERS[name](tmp_path), Report()
    for seed in range(CASES[name]):
        report.run(fuzzer, f"{name}/{seed}")
    assert not report.faults, "\n".join(report.faults)
    assert report.answered[name] and (report.refused[name] or name == "kill")
