"""The timeline of an agent, as a fold over how it stood."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.records import VERSION
from osapi.rules.timeline import MAX_MOMENTS, Moment, Standing, Timeline, continued, passed
from osapi.rules.vitals import Condition

_TYPES = ["DiskPressure", "HighLoad", "MemoryPressure"]
_conditions = st.dictionaries(st.sampled_from(_TYPES), st.booleans()).map(
    lambda found: tuple(Condition(type=name, status=status, since=0.0) for name, status in found.items())
)
_standings = st.builds(Standing, st.sampled_from(["Ready", "Draining", "Cordoned", "Pending"]), _conditions)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ("Ready", "Ready", []),
        ("Ready", "Draining", ["drained"]),
        ("Ready", "Cordoned", ["drained", "cordoned"]),
        ("Draining", "Cordoned", ["cordoned"]),
        ("Cordoned", "Draining", []),
        ("Draining", "Ready", ["undrained"]),
        ("Cordoned", "Ready", ["undrained"]),
        ("Ready", "Pending", ["pending"]),
        ("Cordoned", "Pending", ["pending"]),
        ("Pending", "Ready", ["accepted"]),
        ("Pending", "Cordoned", ["accepted", "drained", "cordoned"]),
    ],
)
def test_each_change_of_state_has_its_events(before: Any, after: Any, events: list[str]) -> None:
    moments = passed(Standing(before), Standing(after, order="by alice: repair"), 3.0)
    assert [moment.event for moment in moments] == events
    told = [moment.message for moment in moments if moment.event == "drained"]
    assert told == ["by alice: repair"] * events.count("drained")


@given(st.lists(_standings, min_size=1))
def test_conditions_are_told_on_and_off_in_turn_and_the_last_word_is_true(standings: list[Standing]) -> None:
    now, told = Standing("Ready"), dict[str, str]()
    for at, after in enumerate(standings):
        for moment in passed(now, after, float(at)):
            assert moment.at == at
            if moment.event.startswith("condition"):
                assert told.get(moment.message, "condition_off") != moment.event
                told[moment.message] = moment.event
        now = after
        on = {name for name, event in told.items() if event == "condition_on"}
        assert on == {condition.type for condition in now.conditions if condition.status}


@given(st.lists(st.integers(0, 40)))
def test_the_last_fifty_are_kept_in_order(sizes: list[int]) -> None:
    timeline, everything = Timeline(v=VERSION, hostname="a"), list[Moment]()
    for size in sizes:
        more = [Moment(at=float(len(everything) + number), event="registered") for number in range(size)]
        everything += more
        timeline = continued(timeline, more)
        assert list(timeline.moments) == everything[-MAX_MOMENTS:]


def test_one_that_left_in_order_has_stopped_until_it_comes_again() -> None:
    timeline = Timeline(v=VERSION, hostname="a")
    assert not timeline.stopped
    left = continued(timeline, [Moment(at=1.0, event="stopped")])
    assert left.stopped
    assert not continued(left, [Moment(at=2.0, event="registered")]).stopped
