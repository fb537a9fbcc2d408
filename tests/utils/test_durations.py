"""Lengths of time, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.utils.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1.5h", 5400), ("1h30m", 5400), ("2h 5s", 7205), ("45", 45), (7.5, 7.5), ("3M", 180)],
)
def test_reads_what_people_write(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "-5m", "5 parsecs", "m", "30m1h", "nan", "inf", "1e400", -1, "9" * 400]
)
def test_refuses_what_is_no_length_of_time(text):
    with pytest.raises(ConfigurationError, match="no length of time; write it like 90s, 20m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_writes_two_units_at_most(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours, minutes, seconds):
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds
