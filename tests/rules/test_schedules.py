"""What becomes of due times: each of them once, the newest made up for if it is not too old."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

import osapi
from osapi.rules.records import VERSION
from osapi.rules.schedule_records import Fired, Schedule, Timing, Work
from osapi.rules.schedules import (
    begin,
    carried_out,
    check_name,
    check_timing,
    coming,
    decide,
    forsaken,
    next_due,
    pause,
    resume,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_792_886_400.0  # 2026-10-25T00:00Z, an hour before the clocks are put back in Berlin


def schedule(timing: Timing | None = None, **changes: Any) -> Schedule:
    fields: dict[str, Any] = {
        "v": VERSION,
        "name": "s",
        "work": Work(operation="test.echo", kind="query", data=Raw(b"1"), target="_any"),
        "timing": timing or Timing(every=10.0),
        "catch_up": 60.0,
        "overlap": "skip",
        "series": "c0ffee",
        "created": NOW,
        "changed": NOW,
        "anchor": NOW,
    }
    return Schedule(**{**fields, **changes})


timings = st.one_of(
    st.sampled_from([1.7, 7.3, 10.0, 0.1 * 13, 3600.0]).map(lambda every: Timing(every=every)),
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 * * * *"]).map(
        lambda cron: Timing(cron=cron, time_zone="Europe/Berlin")
    ),
    st.sampled_from([1.0, 100.0]).map(lambda later: Timing(at=NOW + later)),
)
jumps = st.lists(st.sampled_from([0.3, 1.0, 5.0, 59.0, 61.0, 700.0, 4000.0]), min_size=1, max_size=6)


@settings(max_examples=30)
@given(timings, jumps, st.sampled_from([1.0, 60.0, 4000.0]), st.booleans())
def test_every_due_time_is_told_of_once(timing: Timing, waits: list[float], catch_up: float, busy: bool) -> None:
    made = begin(schedule(timing, catch_up=catch_up), BERLIN, NOW, None)
    due: list[float] = []
    after: float | None = NOW
    while after is not None and after <= NOW + sum(waits):
        after = next_due(made, BERLIN, after)
        due.append(after if after is not None else float("inf"))
    now, told = NOW, set[Fired]()
    for wait in waits:
        now += wait
        while made.next is not None and made.next <= now:
            made = decide(made, BERLIN, now, "j" if busy else "")
            if made.pending is not None:
                assert now - catch_up <= made.pending.due <= now
                made = carried_out(made, made.pending, now, job="j")
            told |= {*made.firings}
    for moment in due:
        if moment <= now:
            assert len([fired for fired in told if covers(fired, moment)]) == 1
    assert sum(fired.count for fired in told) == sum(moment <= now for moment in due)
    assert made.submitted + made.skipped + made.missed == sum(moment <= now for moment in due)
    assert not (made.submitted if busy else made.skipped)


def covers(fired: Fired, due: float) -> bool:
    if fired.outcome == "missed":
        return fired.due <= due and (fired.before is None or due < fired.before)
    return fired.due == due


def test_intervals_do_not_wander() -> None:
    made = schedule(Timing(every=0.1 * 13), anchor=0.0)
    assert next_due(made, UTC, 1.3e9) == pytest.approx(1.3e9 + 1.3)
    assert next_due(made, UTC, next_due(made, UTC, 5.0) or 0.0) == 0.1 * 13 * 5


def test_only_what_is_late_enough_is_missed() -> None:
    made = schedule(Timing(at=NOW + 10.0), next=NOW + 10.0)
    assert decide(made, UTC, NOW + 70.0, "").pending is not None
    (fired,) = decide(made, UTC, NOW + 70.1, "").firings
    assert (fired.outcome, fired.due, fired.before, fired.count) == ("missed", NOW + 10.0, None, 1)


def test_given_anew_it_keeps_what_it_can() -> None:
    made = begin(schedule(), UTC, NOW, None)
    ran = decide(made, UTC, NOW + 10.0, "")
    assert ran.pending is not None
    past = carried_out(ran, ran.pending, NOW + 10.0, job="j")
    same = begin(schedule(overlap="allow"), UTC, NOW + 15.0, past)
    assert (same.next, same.anchor, same.overlap, same.firings) == (past.next, NOW, "allow", past.firings)
    other = begin(schedule(Timing(every=5.0)), UTC, NOW + 15.0, past)
    assert (other.next, other.anchor, other.submitted) == (NOW + 20.0, NOW + 15.0, 1)
    still = begin(schedule(Timing(every=5.0)), UTC, NOW + 15.0, pause(past, NOW + 12.0))
    assert (still.next, still.paused) == (None, True)
    assert resume(still, UTC, NOW + 16.0).next == NOW + 20.0


def test_what_is_pending_stays_when_it_is_paused_or_replaced() -> None:
    ran = decide(begin(schedule(), UTC, NOW, None), UTC, NOW + 10.0, "")
    assert ran.pending is not None
    assert pause(ran, NOW + 11.0).pending == ran.pending
    assert begin(schedule(Timing(every=5.0)), UTC, NOW + 11.0, ran).pending == ran.pending
    gone = forsaken(ran, ran.pending, NOW + 9000.0)
    assert (gone.pending, gone.missed, gone.firings[-1].due) == (None, 1, NOW + 10.0)


def test_a_long_reason_is_cut() -> None:
    ran = decide(begin(schedule(), UTC, NOW, None), UTC, NOW + 10.0, "")
    assert ran.pending is not None
    assert len(carried_out(ran, ran.pending, NOW + 10.0, reason="x" * 9000).firings[-1].reason) == 500


def test_what_never_comes_is_refused() -> None:
    moment = datetime.fromtimestamp(NOW, UTC).isoformat().replace("+00:00", "Z")
    with pytest.raises(osapi.InvalidSettingError, match=f"'{re.escape(moment)}': has passed"):
        begin(schedule(Timing(at=NOW)), UTC, NOW, None)


@pytest.mark.parametrize(
    ("at", "written"), [(-86_400.0, "1969-12-31T00:00:00Z"), (float("nan"), "nan"), (1e300, "1e+300")]
)
def test_a_moment_that_no_calendar_has_is_refused(at: float, written: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match=f"'{re.escape(written)}': is out of range for at"):
        check_timing(Timing(at=at))


def test_what_is_to_come_is_told_in_order() -> None:
    made = begin(schedule(Timing(cron="0 2 * * *", time_zone="Europe/Berlin")), BERLIN, NOW, None)
    found = coming(made, BERLIN, 3)
    assert [later - earlier for earlier, later in pairwise(found)] == [86_400.0, 86_400.0]
    assert coming(begin(schedule(Timing(at=NOW + 1)), UTC, NOW, None), UTC, 3) == (NOW + 1,)
    assert coming(pause(made, NOW), BERLIN, 3) == ()


@pytest.mark.parametrize("name", ["a", "nightly", "A.b_c-9", "x" * 100])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "a.", "-a", "a b", "ä", "a/b", "a\n", "x" * 101])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(osapi.InvalidNameError):
        check_name(name)
