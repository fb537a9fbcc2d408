"""Prints the lower bounds of `setup.cfg` as constraints for pip: the oldest version of everything that is required."""

from __future__ import annotations

import configparser
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.cfg"


def lower_bounds(extra: str = "test") -> list[str]:
    """What the package requires and what one of its extras adds, each as "name==version"."""
    setup = configparser.ConfigParser()
    setup.read(SETUP, encoding="utf-8")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"][extra]
    return [line.replace(">=", "==") for line in lines.splitlines() if line]


if __name__ == "__main__":
    print(*lower_bounds(), sep="\n")  # noqa: T201
