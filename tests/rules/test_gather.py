"""The fold over slots and the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osapi.rules import gather
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import Attempt, JobStatus, SlotStatus
from tests.rules.builders import definition, record, statuses

if TYPE_CHECKING:
    import random

S = SlotStatus


@pytest.mark.parametrize(
    ("seen", "whole"),
    [
        ([S.PENDING], JobStatus.SUBMITTED),
        ([S.PENDING, S.PENDING], JobStatus.SUBMITTED),
        ([S.PENDING, S.COMPLETED], JobStatus.PROCESSING),
        ([S.RUNNING], JobStatus.PROCESSING),
        ([S.RETRYABLE], JobStatus.RETRYABLE),
        ([S.RETRYABLE, S.COMPLETED], JobStatus.RETRYABLE),
        ([S.RETRYABLE, S.PENDING], JobStatus.PROCESSING),
        ([S.COMPLETED], JobStatus.COMPLETED),
        ([S.COMPLETED, S.SKIPPED], JobStatus.COMPLETED),
        ([S.SKIPPED], JobStatus.SKIPPED),
        ([S.FAILED], JobStatus.FAILED),
        ([S.FAILED, S.SKIPPED], JobStatus.FAILED),
        ([S.FAILED, S.EXPIRED], JobStatus.FAILED),
        ([S.COMPLETED, S.FAILED], JobStatus.PARTIAL_FAILURE),
        ([S.COMPLETED, S.UNREACHABLE], JobStatus.PARTIAL_FAILURE),
        ([S.EXPIRED], JobStatus.EXPIRED),
        ([S.UNREACHABLE, S.EXPIRED], JobStatus.EXPIRED),
        ([S.CANCELLED], JobStatus.CANCELLED),
        ([S.CANCELLED, S.SKIPPED, S.EXPIRED], JobStatus.CANCELLED),
        ([S.CANCELLED, S.RUNNING], JobStatus.PROCESSING),
        ([S.CANCELLED, S.COMPLETED], JobStatus.PARTIAL_FAILURE),
        ([S.CANCELLED, S.FAILED], JobStatus.FAILED),
    ],
)
def test_the_fold(seen: list[SlotStatus], whole: JobStatus) -> None:
    assert gather.fold(seen) is whole


@given(st.lists(statuses, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_matter(seen: list[SlotStatus], rng: random.Random) -> None:
    shuffled = [*seen, rng.choice(seen)]
    rng.shuffle(shuffled)
    assert gather.fold(shuffled) is gather.fold(seen)


@given(st.lists(statuses, min_size=1, max_size=8))
def test_a_job_has_ended_when_all_its_slots_have(seen: list[SlotStatus]) -> None:
    going = {JobStatus.SUBMITTED, JobStatus.PROCESSING, JobStatus.RETRYABLE}
    assert (gather.fold(seen) in going) is not (set(seen) <= TERMINAL)


def test_hosts_without_a_record_are_pending() -> None:
    job = definition(expected=("a", "b"), target="_all")
    assert gather.slots(job) == ("a", "b")
    assert gather.slots(definition()) == ("_any",)
    assert gather.job_status(job, {}) is JobStatus.SUBMITTED
    assert gather.job_status(job, {"a": record(S.COMPLETED)}) is JobStatus.PROCESSING
    both = {"a": record(S.COMPLETED), "b": record(S.COMPLETED)}
    assert gather.job_status(job, both) is JobStatus.COMPLETED


def test_the_timeline_tells_every_attempt() -> None:
    story = (
        Attempt(number=1, host="a", claimed=101.0, ended=102.0, outcome="retryable", error="busy", next_at=112.0),
        Attempt(number=2, host="b", claimed=112.0, ended=120.0, outcome="lost", error="b fell silent"),
    )
    done = record(S.COMPLETED, host="c", attempt=3, claimed=121.0, updated=122.0, earlier=story)
    told = [(e.at, e.event, e.host, e.message, e.error) for e in gather.timeline(definition(), [done])]
    assert told == [
        (100.0, "submitted", "", "to _any", ""),
        (101.0, "started", "a", "attempt 1", ""),
        (102.0, "retryable", "a", "attempt 1, next in 10.0 s", "busy"),
        (112.0, "started", "b", "attempt 2", ""),
        (120.0, "retryable", "b", "attempt 2", "b fell silent"),
        (121.0, "started", "c", "attempt 3", ""),
        (122.0, "completed", "c", "attempt 3", ""),
    ]


def test_a_later_record_only_adds_events() -> None:
    running = record(S.RUNNING)
    done = record(S.FAILED, updated=130.0, error="no")
    assert set(gather.record_events(running)) < set(gather.record_events(done))


def test_a_slot_nobody_started_has_only_its_end() -> None:
    (event,) = gather.record_events(record(S.UNREACHABLE, attempt=0, updated=201.0, error="gone"))
    assert (event.event, event.message, event.error) == ("expired", "", "gone")


def test_the_timeline_tells_how_far_each_attempt_came() -> None:
    story = (
        Attempt(
            number=1,
            host="a",
            claimed=101.0,
            ended=105.0,
            outcome="lost",
            progress=0.5,
            message="half",
            progressed=104.0,
        ),
    )
    second = record(host="b", attempt=2, claimed=106.0, progress=0.123, progressed=107.0, earlier=story)
    third = replace(second, progress=None, message="cleaning up", progressed=108.0)
    told = [(e.at, e.event, e.host, e.message) for e in gather.record_events(second)]
    assert told == [
        (101.0, "started", "a", "attempt 1"),
        (104.0, "progress", "a", "50%: half"),
        (105.0, "retryable", "a", "attempt 1"),
        (106.0, "started", "b", "attempt 2"),
        (107.0, "progress", "b", "12%"),
    ]
    assert gather.record_events(third)[-1].message == "cleaning up"
    done = replace(third, status=S.FAILED, updated=109.0, error="no")
    assert gather.record_events(done)[:-1] == gather.record_events(third)
