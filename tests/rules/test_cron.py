"""Cron against a naive oracle, which looks at every minute; what is refused; the clock put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import osapi
from osapi.rules.cron import Cron, next_time, parse_cron

BERLIN = ZoneInfo("Europe/Berlin")
# By an hour at night, by half an hour, at midnight, not at all, in the other half of the year, by a day.
ZONES = [
    BERLIN,
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/Havana"),
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("America/Santiago"),
    ZoneInfo("Antarctica/Troll"),
    ZoneInfo("Pacific/Apia"),
    UTC,
]


def moment(text: str, zone: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def shown(moment: float | None, zone: tzinfo = BERLIN) -> str:
    assert moment is not None
    return datetime.fromtimestamp(moment, zone).isoformat(timespec="minutes")


def times(cron: str, after: str, count: int, zone: tzinfo = BERLIN) -> list[str]:
    at = moment(after, zone)
    found: list[str] = []
    for _ in range(count):
        following = next_time(parse_cron(cron), zone, at)
        assert following is not None
        at = following
        found.append(shown(at, zone))
    return found


# --- The oracle --------------------------------------------------------------------------------------------


def fits(cron: Cron, wall: datetime) -> bool:
    return wall.minute in cron.minutes and wall.hour in cron.hours and cron.has_day(wall)


@cache
def offsets(zone: tzinfo, at: datetime) -> set[timedelta]:
    """Return by how much the wall was ahead of UTC in the day before."""
    found = {(at - timedelta(minutes=back)).astimezone(zone).utcoffset() for back in range(0, 25 * 60, 30)}
    return {offset for offset in found if offset is not None}


def due(cron: Cron, zone: tzinfo, at: datetime) -> bool:
    """Say whether a minute of UTC is one, from what the wall shows then and what it would have shown before."""
    here = at.astimezone(zone)
    wall = here.replace(tzinfo=None, fold=0)
    if fits(cron, wall) and (here.fold == 0 or cron.hourly):
        return True
    for offset in offsets(zone, at.replace(minute=at.minute // 30 * 30)):
        skipped = at.replace(tzinfo=None) + offset
        if skipped == wall or not fits(cron, skipped):
            continue
        back = skipped.replace(tzinfo=zone).astimezone(UTC)
        if back == at and back.astimezone(zone).replace(tzinfo=None) != skipped:
            return True
    return False


def naive(cron: Cron, zone: tzinfo, after: float, minutes: int) -> float | None:
    at = datetime.fromtimestamp(after, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(minutes):
        if due(cron, zone, at):
            return at.timestamp()
        at += timedelta(minutes=1)
    return None


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.builds("*/{}".format, st.integers(1, high))
    parts = st.one_of(number.map(str), spans, steps)
    return st.one_of(st.just("*"), st.lists(parts, min_size=1, max_size=3).map(",".join))


minute = st.one_of(st.just("*"), st.just("0"), st.just("30"), field(0, 59))
crons = st.builds(
    "{} {} {} {} {}".format,
    minute,
    st.one_of(field(0, 23), field(0, 4)),
    st.one_of(st.just("*"), field(1, 31)),
    st.just("*"),
    st.one_of(st.just("*"), field(0, 7)),
)
# Around each change of the clocks, where they differ; each zone changes within these hours of one of the days.
CHANGES = [
    "2026-03-29T00:00",
    "2026-10-25T00:00",
    "2026-04-04T14:00",
    "2026-10-03T15:00",
    "2026-03-08T04:00",
    "2026-11-01T04:00",
    "2026-04-05T02:00",
    "2026-09-06T03:00",
    "2011-12-30T09:00",
    "2026-06-15T00:00",
]
starts = st.sampled_from(CHANGES).map(moment)
seconds = st.tuples(st.integers(-240, 240), st.sampled_from([0.0, 0.5, 59.9])).map(lambda pair: 60 * pair[0] + pair[1])
afters = st.tuples(starts, seconds).map(sum)


@settings(max_examples=200)
@given(crons, st.sampled_from(ZONES), afters)
@example("30 2 * * *", BERLIN, moment("2026-03-29T00:00"))
@example("30 2 * * *", BERLIN, moment("2026-03-29T01:10"))
@example("15 * * * *", ZoneInfo("Australia/Lord_Howe"), moment("2026-10-03T15:00"))
@example("*/15 * * * *", BERLIN, moment("2026-10-25T00:30"))
@example("0 0 * * *", ZoneInfo("America/Havana"), moment("2026-03-08T04:00"))
def test_it_is_what_looking_at_every_minute_finds(text: str, zone: tzinfo, after: float) -> None:
    cron = parse_cron(text)
    found = next_time(cron, zone, after)
    assert found is None or found > after
    expected = naive(cron, zone, after, 600)
    if expected is None:
        assert found is None or found > after + 599 * 60
    else:
        assert found == expected


# --- Cases -------------------------------------------------------------------------------------------------


def test_a_time_that_is_skipped_comes_later_the_same_day() -> None:
    assert times("30 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]


def test_what_falls_together_there_is_one() -> None:
    assert times("0 * * * *", "2026-03-29T01:30", 2) == ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_what_has_every_hour_has_that_one_twice() -> None:
    assert times("0 * * * *", "2026-10-25T01:30", 3) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_day_and_weekday_are_either_or_unless_one_is_free() -> None:
    assert times("0 0 13 * fri", "2026-11-01T00:00", 3, UTC) == [
        "2026-11-06T00:00+00:00",
        "2026-11-13T00:00+00:00",
        "2026-11-20T00:00+00:00",
    ]
    assert times("0 0 13 * *", "2026-11-01T00:00", 1, UTC) == ["2026-11-13T00:00+00:00"]
    assert times("0 0 */2 * mon", "2026-11-01T00:00", 1, UTC) == ["2026-11-09T00:00+00:00"]


def test_a_leap_day_is_waited_for_over_a_century_that_has_none() -> None:
    assert times("0 0 29 2 *", "2096-03-01T00:00", 1, UTC) == ["2104-02-29T00:00+00:00"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        (" @hourly ", "0 * * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@weekly", "0 0 * * 7"),
        ("@monthly", "0 0 1 * *"),
        ("@annually", "0 0 1 jan *"),
        ("0 0 * JAN-mar Mon-Fri", "0 0 * 1-3 1-5"),
        ("0-10/5 0 * * *", "0,5,10 0 * * *"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
    ],
)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    assert parse_cron(one) == parse_cron(other)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "* * * *",
        "* * * * * *",
        "@reboot",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * fri-mon",
        "10-5 * * * *",
        "*/0 * * * *",
        "*/60 * * * *",
        "5/10 * * * *",
        "-1 * * * *",
        "1,,2 * * * *",
        "* * * foo *",
        "jan * * * *",
        "* * 30 2 *",
        "* * 31 4,6,9,11 *",
        "x" * 300,
        "\N{ARABIC-INDIC DIGIT ONE} * * * *",
        "*/" + "9" * 50 + " * * * *",
    ],
)
def test_what_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match="cron"):
        parse_cron(wrong)


@given(st.text("*/,-@0123456789 abcdefjmnorstuwy", max_size=20))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text)
    except osapi.InvalidSettingError:
        return
    assert next_time(cron, UTC, moment("2026-01-01T00:00")) is not None
