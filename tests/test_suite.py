"""How the suite itself behaves when something goes wrong that no test expects."""

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_run_ends_when_a_worker_process_dies(tmp_path):
    """By itself, pytest-xdist starts another, which under loadfile may wait for ever."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text("def test_passes():\n    pass\n")
    (tmp_path / "test_c.py").write_text("import os\n\ndef test_dies():\n    os.kill(os.getpid(), 9)\n")
    command = [sys.executable, "-m", "pytest", *shlex.split(settings["addopts"]), "-n", "2", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    assert "crashed while running 'test_c.py::test_dies'" in run.stdout and "2 passed" in run.stdout
