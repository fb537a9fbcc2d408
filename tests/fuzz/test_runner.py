"""The fuzzers notice what they are there for."""

import random
import time

import pytest

from ovparts_hf.errors import OVPartsError

from . import runner
from .mutations import mutate_bytes, mutate_json
from .runner import Ending, Fault, Overtime, Report, call, check_ending, files_in


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [
        (1, "", "Traceback (most recent call last):\n  File\nValueError: x"),
        (1, "", ""),
        (1, "", "ovparts: one.\novparts: two.\novparts: three."),
        (1, "", f"ovparts: {'long ' * 1000}"),
        (1, "", "ovparts: There is not enough memory."),
        (139, "", "ovparts: x."),
        (None, "", ""),
    ],
)
def test_what_no_command_may_end_with(code, out, err):
    with pytest.raises(Fault):
        check_ending(Ending(code, out, err))


@pytest.mark.parametrize("ending", [Ending(0, "x", ""), Ending(1, "", "50 %\rovparts: x."), Ending(1, "problems", "")])
def test_what_commands_may_end_with(ending):
    assert check_ending(ending) == ending


def test_time_and_memory_are_bounded(monkeypatch):
    with monkeypatch.context() as little, pytest.raises(Overtime):
        little.setattr(runner, "WAITING", 0.2)
        call(time.sleep, 30)
    monkeypatch.setattr(runner, "MEMORY", 2**20)
    with pytest.raises(MemoryError):
        call(bytearray, 2**32)  # more than other tests may have left free
    assert len(bytearray(2**28)) == 2**28


class BrokenFuzzer:
    """Answers, refuses, leaves a file, and raises, by turns."""

    def run(self, case):
        kind = int(case.name.split("/")[1])
        if kind == 2:
            (case.folder / "left").touch()
            raise Fault(f"left over: {list(files_in(case.folder))}")
        return bool(1 / (3 - kind)) if kind == 3 else kind == 0 or call(self.refuse)

    def refuse(self):
        raise OVPartsError("x")


def test_faults_are_counted_and_can_be_run_again():
    report = Report()
    found = [report.run(BrokenFuzzer(), f"broken/{seed}") for seed in (0, 1, 2, 3, 2)]
    assert found[:2] == [None, None] and found[2] == found[4] == "broken/2 (): left over: ['left']"
    assert "ZeroDivisionError" in found[3]
    assert report.summary() == "broken: 1 answered, 1 refused, 3 faults"


def test_damage_follows_the_seed_and_is_damage():
    data, value = bytes(range(256)), {"a": [1, {"b": "c"}]}
    for seed in range(200):
        first, second = (mutate_bytes(random.Random(seed), data) for _ in range(2))
        assert first == second != data
        assert mutate_json(random.Random(seed), value) == mutate_json(random.Random(seed), value)
