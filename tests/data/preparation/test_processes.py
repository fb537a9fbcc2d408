"""Work in several processes: same results in the same order, errors are passed on, nobody is left behind."""

import os
import subprocess
import sys
import time

import pytest

from ovparts_hf.data.preparation.repository import map_in_processes
from ovparts_hf.errors import DatasetError


def half(number):
    if number % 2:
        raise DatasetError(f"{number} is odd")
    return number // 2


@pytest.mark.parametrize("num_proc", [1, 2])
def test_order_and_errors(num_proc):
    assert list(map_in_processes(half, range(0, 40, 2), num_proc, chunksize=3)) == list(range(20))
    with pytest.raises(DatasetError, match="7 is odd"):
        list(map_in_processes(half, [2, 4, 7, 8], num_proc))


KILLED = """
import os, signal, time
from ovparts_hf.data.preparation.repository import map_in_processes

def work(number):
    if number == 1:
        print(os.getpid(), flush=True)
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)

list(map_in_processes(work, range(4), 2))
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert run.returncode == -9
    worker = int(run.stdout)
    for _ in range(50):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("The worker still runs.")
