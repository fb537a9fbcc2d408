"""Runs all of transformers' tests on this package; the last line says how many passed, failed and were skipped.

`python -m tests.conformity [options of pytest]`
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .suite import ALL


class Counter:
    """Counts tests; one with several subtests counts once, as its worst."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report.nodeid, report.outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:  # a file that cannot be read, or that skips itself
            self._note(report.nodeid, report.outcome)

    def _note(self, name: str, outcome: str) -> None:
        self.outcomes[name] = max(self.outcomes.get(name, ""), outcome, key=["", "passed", "skipped", "failed"].index)

    def __str__(self) -> str:
        found = list(self.outcomes.values())
        return ", ".join(f"{found.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))


def main() -> int:
    """Runs the tests, and prints the counts."""
    os.environ[ALL] = "1"
    counter = Counter()
    code = pytest.main([str(Path(__file__).parent), *sys.argv[1:]], plugins=[counter])
    print(counter)  # noqa: T201
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
