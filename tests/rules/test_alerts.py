"""Alerts: told once, told again when that is asked for, told when they clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.alerts import NOT_READY, Seen, review, seen
from osapi.rules.records import VERSION, Registration
from osapi.rules.timeline import Moment, Timeline
from osapi.rules.vitals import Condition, Vitals

if TYPE_CHECKING:
    from osapi.rules.alerts import Alert

_TYPES = ["DiskPressure", "HighLoad"]


def _true(*types: str, certain: bool = True) -> Seen:
    return Seen(dict.fromkeys(types, ("why", 1.0)), certain)


def _told(notices: Any) -> list[tuple[str, bool, bool]]:
    return [(notice.condition, notice.status, notice.still) for notice in notices]


def test_it_is_told_once_and_when_it_clears() -> None:
    first, alerts = review("a", (), _true("HighLoad"), 10.0, 0.0)
    assert _told(first) == [("HighLoad", True, False)]
    assert (first[0].since, first[0].at, first[0].reason) == (1.0, 10.0, "why")
    again, alerts = review("a", alerts, _true("HighLoad"), 1e9, 0.0)
    assert again == ()
    last, alerts = review("a", alerts, _true(), 2e9, 0.0)
    assert _told(last) == [("HighLoad", False, False)]
    assert alerts == ()


def test_it_is_told_again_after_a_while_with_the_reason_of_now() -> None:
    _, alerts = review("a", (), _true("HighLoad"), 0.0, 60.0)
    assert review("a", alerts, _true("HighLoad"), 59.9, 60.0) == ((), alerts)
    later = Seen({"HighLoad": ("worse", 1.0)})
    told, alerts = review("a", alerts, later, 60.0, 60.0)
    assert _told(told) == [("HighLoad", True, True)]
    assert told[0].reason == "worse"
    assert review("a", alerts, later, 119.0, 60.0)[0] == ()


def test_of_one_that_is_away_only_that_is_known() -> None:
    _, alerts = review("a", (), _true("HighLoad"), 0.0, 60.0)
    told, alerts = review("a", alerts, _true(NOT_READY, certain=False), 10.0, 60.0)
    assert _told(told) == [(NOT_READY, True, False)]
    told, alerts = review("a", alerts, _true(NOT_READY, certain=False), 70.0, 60.0)
    assert _told(told) == [(NOT_READY, True, True)]
    told, alerts = review("a", alerts, _true("HighLoad"), 80.0, 600.0)
    assert _told(told) == [(NOT_READY, False, False)]
    assert [alert.type for alert in alerts] == ["HighLoad"]
    told, _ = review("a", alerts, _true(certain=False), 90.0, 600.0)
    assert told == ()


@given(
    st.lists(st.tuples(st.sets(st.sampled_from([*_TYPES, NOT_READY])), st.booleans(), st.integers(0, 40))),
    st.sampled_from([0.0, 10.0]),
)
def test_whoever_is_told_knows_what_is_true(looks: list[tuple[set[str], bool, int]], renotify: float) -> None:
    alerts: tuple[Alert, ...] = ()
    known: dict[str, float] = {}
    now = 0.0
    for true, certain, passed in looks:
        now += passed
        notices, alerts = review("a", alerts, _true(*true, certain=certain), now, renotify)
        assert len({notice.condition for notice in notices}) == len(notices)
        for notice in notices:
            if not notice.status:
                assert known.pop(notice.condition) is not None
            elif notice.still:
                assert renotify
                assert now - known[notice.condition] >= renotify
                known[notice.condition] = now
            else:
                assert notice.condition not in known
                known[notice.condition] = now
        assert true <= known.keys()
        assert {alert.type for alert in alerts} == known.keys()
        if certain:
            assert known.keys() == true
        if renotify:
            assert all(now - known[name] < renotify for name in true)


def _registration(*conditions: Condition) -> Registration:
    return Registration(
        v=VERSION,
        hostname="a",
        session="s",
        labels={},
        operations={},
        started=0.0,
        heartbeat=0.0,
        max_jobs=1,
        vitals=Vitals(conditions=conditions),
    )


def test_what_is_seen_of_a_host() -> None:
    high = Condition(type="HighLoad", status=True, since=3.0, reason="load 9")
    low = Condition(type="DiskPressure", status=False, since=3.0)
    stopped = Timeline(v=VERSION, hostname="a", moments=(Moment(at=1.0, event="stopped"),))
    came = Timeline(v=VERSION, hostname="a", moments=(Moment(at=1.0, event="registered"),))
    assert seen(_registration(high, low), stopped, 9.0) == Seen({"HighLoad": ("load 9", 3.0)})
    assert seen(None, stopped, 9.0) == Seen({}, certain=False)
    for killed in (came, None):
        assert seen(None, killed, 9.0) == Seen({NOT_READY: ("its heartbeat stopped", 9.0)}, certain=False)
