"""Jobs in processes of their own."""

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tqdm import tqdm

from ovparts_hf.errors import OVPartsError
from ovparts_hf.reporting.toy_table.side_by_side import LOG, carry_out
from ovparts_hf.training.signals import TrainingInterrupted


@dataclass(frozen=True)
class Note:
    """Writes down in which process it ran; or waits, or fails."""

    name: str
    folder: Path
    seconds: float = 0
    fails: bool = False

    def carry_out(self):
        self.folder.mkdir(exist_ok=True)
        logging.getLogger(__name__).info("about to work")
        (self.folder / "process").write_text(str(os.getpid()))
        time.sleep(self.seconds)
        if self.fails:
            raise ValueError("no good")
        (self.folder / "done").write_text("")


def notes(folder, *others, **settings):
    return [Note(name, folder / name, **settings) for name in others]


def test_one_at_a_time_needs_no_other_process(tmp_path):
    with tqdm(total=2, disable=False) as bar:
        carry_out(notes(tmp_path, "a", "b"), 1, bar)
        assert bar.n == 2
    assert {(tmp_path / name / "process").read_text() for name in "ab"} == {str(os.getpid())}


def test_several_run_in_processes_of_their_own_with_logs(tmp_path):
    with tqdm(total=2) as bar:
        carry_out(notes(tmp_path, "a", "b"), 2, bar)
        assert bar.n == 2
    processes = {(tmp_path / name / "process").read_text() for name in "ab"}
    assert len(processes) == 2 and str(os.getpid()) not in processes
    assert "about to work" in (tmp_path / "a" / LOG).read_text()


def test_a_failure_names_the_job_and_its_log_and_ends_the_others(tmp_path):
    jobs = [*notes(tmp_path, "bad", fails=True), *notes(tmp_path, "slow", seconds=60)]
    start = time.monotonic()
    with pytest.raises(OVPartsError, match=r"bad ended with exit code 1; .*log\.txt says why"), tqdm() as bar:
        carry_out(jobs, 2, bar)
    assert time.monotonic() - start < 50 and not (tmp_path / "slow" / "done").exists()
    assert "no good" in (tmp_path / "bad" / LOG).read_text()


def test_a_stop_signal_ends_the_processes(tmp_path):
    jobs = notes(tmp_path, "a", "b", seconds=60)

    ended = threading.Event()

    def stop():
        while not (all((job.folder / "process").exists() for job in jobs) or ended.wait(0.05)):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    earlier = signal.signal(signal.SIGTERM, lambda *_: None)  # nor does it end the tests if it comes too late
    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(TrainingInterrupted) as stopped, tqdm() as bar:
            carry_out(jobs, 2, bar)
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGTERM, earlier)
    assert stopped.value.code == 128 + signal.SIGTERM
    for job in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(int((job.folder / "process").read_text()), 0)
        assert not (job.folder / "done").exists()
