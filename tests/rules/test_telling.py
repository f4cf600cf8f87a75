"""A job's story is told whole and once, however often its reader leaves, and whatever is written over meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

import osapi
from osapi.rules import lifecycle
from osapi.rules.gather import record_events
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import SlotStatus
from osapi.rules.telling import Telling
from tests.rules.builders import definition, record

if TYPE_CHECKING:
    from osapi.rules.records import Definition, Event, Record

HOSTS = ("a", "b", "c")
JOB = definition(expected=HOSTS)
MOVES = st.sampled_from(["claim", "progress", "progress", "progress", "renew", "retry", "release", "end"])


def moved(before: Record | None, move: str, slot: str, now: float) -> Record | None:
    """Return the record after a move, None if there is no such move now."""
    status = SlotStatus.PENDING if before is None else before.status
    if move == "claim":
        if status in TERMINAL:
            return None
        return lifecycle.claim(before, JOB, slot=slot, host=slot, lease=f"{now}", until=now + 9.0, now=now)
    if before is None or status is not SlotStatus.RUNNING:
        return None
    moves = {
        "progress": lambda: replace(before, progress=0.5, progressed=now, updated=now),
        "renew": lambda: lifecycle.renew(before, until=now + 9.0, now=now),
        "retry": lambda: lifecycle.retry(before, "busy", next_at=now + 1.0, now=now),
        "release": lambda: lifecycle.release(before, "stopping", now=now),
        "end": lambda: lifecycle.complete(before, Raw(b"1"), changed=False, now=now),
    }
    return moves[move]()


@given(
    st.lists(st.tuples(MOVES, st.sampled_from(HOSTS), st.sampled_from([-1.5, 0.25, 1.0]), st.booleans()), max_size=40),
    st.lists(st.integers(0, 3), min_size=60, max_size=60),
)
def test_nothing_is_told_twice_and_nothing_missed(
    steps: list[tuple[str, str, float, bool]], patience: list[int]
) -> None:
    """A reader looks now and then, takes some events of what it sees, and comes back with the mark of the last."""
    records: dict[str, Record] = {}
    told: list[Event] = []
    mark = ""
    at = 200.0
    looks = iter(patience)

    def read(most: int | None) -> None:
        nonlocal mark
        telling = Telling(JOB, mark)
        for number, event in enumerate(telling.news(records)):
            if number == most:
                return
            told.append(event)
            mark = telling.mark

    for move, host, later, looked in steps:
        # Hosts go by clocks of their own, but those of one host's records differ from write to write.
        at += abs(later) + 0.001
        now = at + (later if later < 0 else 0.0) * HOSTS.index(host)
        after = moved(records.get(host), move, host, now)
        if after is not None:
            records[host] = after
            if looked:
                read(next(looks))
    read(None)
    read(None)
    assert [event.event for event in told].count("submitted") == 1
    assert told[0].event == "submitted"
    for host in HOSTS:
        mine = [event for event in told if event.host == host]
        whole = record_events(records[host]) if host in records else []
        assert [event for event in mine if event.event != "progress"] == [
            event for event in whole if event.event != "progress"
        ]
        shown = [event.at for event in mine if event.event == "progress"]
        assert len(shown) == len(set(shown))
        # Of each attempt the last progress is told.
        assert {event.at for event in whole if event.event == "progress"} <= set(shown)


def test_one_reader_is_told_in_the_order_of_times() -> None:
    records = {
        "a": record(SlotStatus.COMPLETED, slot="a", host="a", claimed=110.0, updated=130.0),
        "b": record(SlotStatus.COMPLETED, slot="b", host="b", claimed=120.0, updated=125.0),
    }
    told = [(event.host, event.event) for event in Telling(JOB).news(records)]
    assert told == [("", "submitted"), ("a", "started"), ("b", "started"), ("b", "completed"), ("a", "completed")]


def test_the_steps_of_one_slot_keep_their_order_whatever_the_clocks_say() -> None:
    """The second attempt is by a host whose clock is behind."""
    first = record(slot="a", host="a", claimed=150.0)
    lost = lifecycle.claim(first, JOB, slot="a", host="b", lease="2", until=0.0, now=120.0)
    records = {"a": lost}
    telling = Telling(JOB)
    begun = telling.news(records)
    assert [next(begun).event for _ in range(2)] == ["submitted", "started"]
    rest = Telling(JOB, telling.mark).news(records)
    assert [(event.event, event.host) for event in rest] == [("retryable", "a"), ("started", "b")]


@pytest.mark.parametrize("job", [JOB, definition()])
def test_a_mark_of_another_job_is_refused(job: Definition) -> None:
    other = definition(expected=("a", "b"))
    with pytest.raises(osapi.InvalidSettingError):
        Telling(job, Telling(other).mark)
