from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_cli.human import duration, share, size

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60}
SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1}


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2**34, "16.0 GiB"),
        (2**74, "16384.0 EiB"),
    ],
)
def test_sizes(count: int, told: str) -> None:
    assert size(count) == told


@given(st.integers(0, 2**69))
def test_a_size_is_right_to_its_last_digit_and_short(count: int) -> None:
    number, unit = size(count).split()

    assert abs(float(number) * UNITS[unit] - count) <= 0.0501 * UNITS[unit]
    assert float(number) < 1024


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3599.9, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90061, "1 d 1 h"),
        (86400 * 400, "400 d 0 h"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@given(st.floats(0, 1e9))
def test_a_duration_is_cut_after_its_second_unit(seconds: float) -> None:
    parts = re.findall(r"(\d+) (\w+)", duration(seconds))
    told = sum(int(count) * SECONDS[unit] for count, unit in parts)

    assert told <= seconds < told + SECONDS[parts[-1][1]]


def test_shares() -> None:
    assert (share(1, 3), share(5, 5), share(0, 0)) == ("33 %", "100 %", "0 %")
