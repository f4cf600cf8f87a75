"""Durations as Go writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_cli.configuration.durations import parse_duration, print_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("720h", 2_592_000.0),
        ("1.5h", 5400.0),
        ("300ms", 0.3),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("7ns", 7e-9),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("1m1m", 120.0),
    ],
)
def test_what_go_reads_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        ".s",
        "1d",
        "-1s",
        "+1s",
        "1 s",
        " 1s",
        "1s\n",
        "1h.m",
        "1,5h",
        "٣s",
        "1e3s",
        "2562048h",
        "9" * 40 + "h",
    ],
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 2**50))
def test_every_nanosecond_survives_being_printed(nanoseconds: int) -> None:
    seconds = nanoseconds / 10**9

    assert parse_duration(print_duration(seconds)) == seconds


@given(st.integers(0, 290 * 365 * 86400 * 1000))
def test_every_millisecond_of_three_centuries_survives_being_printed(milliseconds: int) -> None:
    seconds = milliseconds / 1000

    assert parse_duration(print_duration(seconds)) == seconds


@given(st.text(alphabet="0123456789.hmsnuµ -+"))
def test_junk_is_a_number_or_nothing(text: str) -> None:
    seconds = parse_duration(text)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (5400, "1h30m"), (0.3, "300ms"), (86400, "24h"), (1e-6, "1000ns")]
)
def test_parts_that_are_zero_are_left_out(seconds: float, text: str) -> None:
    assert print_duration(seconds) == text
