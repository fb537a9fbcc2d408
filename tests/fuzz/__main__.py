"""Runs the fuzzers for a while, or one case again: `python -m tests.fuzz --minutes 20 --only image`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from .fuzzers import FUZZERS
from .runner import Report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case of each fuzzer (default: %(default)s)")
    parser.add_argument(
        "--only", choices=FUZZERS, nargs="+", default=list(FUZZERS), help="which fuzzers (default: all)"
    )
    parser.add_argument("--case", help="run this one again, such as image/17")
    options = parser.parse_args()
    logging.basicConfig(handlers=[logging.NullHandler()])
    report = Report()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if options.case:
            name = options.case.split("/")[0]
            print(report.run(FUZZERS[name](Path(folder)), options.case) or "no fault")
        else:
            _run(report, options.only, options.minutes, options.seed, Path(folder))
    print(report.summary())
    return 1 if report.faults else 0


def _run(report: Report, names: list[str], minutes: float, seed: int, folder: Path) -> None:
    """Gives each fuzzer the same time; Ctrl-C ends early."""
    end = time.monotonic() + 60 * minutes
    spent: Counter[str] = Counter(dict.fromkeys(names, 0))
    seeds = dict.fromkeys(names, seed)
    fuzzers = {}
    with tqdm(unit="case", file=sys.stderr) as bar:
        try:
            while time.monotonic() < end:
                name = min(names, key=lambda name: spent[name])
                started = time.monotonic()
                if name not in fuzzers:
                    (folder / name).mkdir()
                    fuzzers[name] = FUZZERS[name](folder / name)
                case = f"{name}/{seeds[name]}"
                bar.set_description(case)
                if fault := report.run(fuzzers[name], case):
                    bar.write(fault, file=sys.stdout)
                seeds[name] += 1
                spent[name] += time.monotonic() - started
                bar.update()
        except KeyboardInterrupt:
            bar.write("Interrupted.", file=sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
