"""Rollouts: every host in one batch, in order, and nothing begins that must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from osapi.errors import IllegalTransitionError, InvalidSettingError
from osapi.rules import rollouts
from osapi.rules.codec import DEFINITION, ROLLOUT
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import VERSION, Order, SlotStatus
from osapi.rules.rollout_records import Plan, Rollout, RolloutStatus, batch_count
from osapi.rules.rollouts import MOVES, Begin, Drive, Rest, Wait
from tests.rules.builders import record

if TYPE_CHECKING:
    from osapi.rules.records import Record

_S = RolloutStatus
ENDS = [SlotStatus.COMPLETED, SlotStatus.SKIPPED, SlotStatus.FAILED, SlotStatus.UNREACHABLE, SlotStatus.RUNNING, None]


def rollout(hosts: int = 5, **changes: Any) -> Rollout:
    plan = Plan(
        id="0a",
        operation="a.b",
        kind="modify",
        data=Raw(b"1"),
        target="_all",
        origin="c0ffee",
        hosts=tuple(f"h{number}" for number in range(hosts)),
        created=0.0,
        within=60.0,
        lifetime=600.0,
        **changes,
    )
    return Rollout(v=VERSION, plan=plan, status=_S.RUNNING, updated=0.0)


def ended(of: Rollout, status: SlotStatus | None, now: float) -> Rollout:
    return rollouts.end_batch(of, records(of.hosts(len(of.batches) - 1), status), now=now)


def records(hosts: tuple[str, ...], status: SlotStatus | None) -> dict[str, Record]:
    return {} if status is None else {host: record(status, slot=host, host=host) for host in hosts}


def order(now: float, reason: str = "") -> Order:
    return Order(by="eve", at=now, reason=reason)


plans = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 4),
        "canary": st.integers(0, 2),
        "pause": st.sampled_from([0.0, 3.0]),
        "max_failures": st.integers(0, 3),
    }
)
acts = st.sampled_from(["step", "step", "step", "step", "pause", "resume", "abort"])


@given(st.integers(2, 9), plans, st.lists(st.tuples(acts, st.sampled_from(ENDS), st.integers(0, 4)), max_size=40))
def test_whatever_happens_every_host_is_in_one_batch_and_nothing_begins_too_early(
    hosts: int, plan: dict[str, Any], script: list[tuple[str, SlotStatus | None, int]]
) -> None:
    now = 0.0
    of = rollout(hosts, **plan)
    quiet_since = -100.0
    for act, end, seconds in script:
        now += seconds
        before = of
        if act != "step":
            try:
                of = getattr(rollouts, act)(of, order(now))
            except IllegalTransitionError:
                assert (before.status, act) not in MOVES
            else:
                assert of.status is MOVES[before.status, act]  # type: ignore[index]
            continue
        match rollouts.next_step(of, now):
            case Begin():
                assert of.status is _S.RUNNING
                assert of.running is None
                assert now >= quiet_since + of.plan.pause
                of = rollouts.begin(of, f"{len(of.batches):x}", now=now)
            case Wait(until):
                assert now < until <= quiet_since + of.plan.pause
            case Drive(batch) if not batch.submitted:
                of = rollouts.submitted(of, now=now)
            case Drive():
                of = ended(of, end, now)
                quiet_since = now
            case Rest():
                assert of.status is not _S.RUNNING
        assert ROLLOUT.decode(ROLLOUT.encode(of)) == of
        check(of, before)


def check(of: Rollout, before: Rollout) -> None:
    numbers = range(len(of.batches))
    begun = [host for number in numbers for host in of.hosts(number)]
    assert (*begun, *of.waiting) == of.plan.hosts
    assert all(1 <= len(of.hosts(number)) <= max(of.plan.batch, of.plan.canary) for number in numbers)
    assert of.batches[: len(before.batches) - 1] == before.batches[:-1], "what has ended stays as it is"
    told = sum(count for batch in of.batches for count in batch.outcomes.values())
    assert told == len(
        [host for number in numbers if of.batches[number].ended is not None for host in of.hosts(number)]
    )
    if of.status is _S.RUNNING:
        assert of.failed - of.forgiven <= of.plan.max_failures
    assert (of.status is _S.COMPLETED) is (not of.waiting and of.running is None and of.status is not _S.ABORTED)
    if of.is_over:
        assert rollouts.next_step(of, 1e9) == Rest()


@given(st.integers(1, 30), plans)
def test_left_alone_it_comes_to_its_end(hosts: int, plan: dict[str, Any]) -> None:
    of = rollout(hosts, **{**plan, "canary": min(plan["canary"], hosts)})
    now, steps = 0.0, 0
    while not of.is_over:
        steps += 1
        match rollouts.next_step(of, now):
            case Begin():
                of = rollouts.begin(of, f"{steps:x}", now=now)
            case Wait(until):
                now = until
            case Drive():
                of = ended(of, SlotStatus.COMPLETED, now)
            case Rest():
                pytest.fail("it rests before its end")
    assert len(of.batches) == batch_count(of.plan)
    assert of.status is _S.COMPLETED
    assert of.failed == 0


def test_a_canary_that_fails_halts_whatever_else_is_allowed() -> None:
    of = ended(rollouts.begin(rollout(canary=1, batch=2, max_failures=9), "1", now=1.0), SlotStatus.FAILED, 2.0)
    assert (of.status, of.reason) == (_S.HALTED, "halted: 1 of the canary failed")
    assert of.hosts(0) == ("h0",)
    of = rollouts.resume(of, order(3.0, "it was the disk"))
    assert rollouts.next_step(of, 3.0) == Begin()
    of = rollouts.begin(of, "2", now=3.0)
    assert of.hosts(1) == ("h1", "h2")


def test_more_failures_than_allowed_halt_and_resuming_forgives_them() -> None:
    of = rollout(6, batch=2, max_failures=2)
    of = ended(rollouts.begin(of, "1", now=1.0), SlotStatus.FAILED, 1.0)
    assert of.status is _S.RUNNING
    of = ended(rollouts.begin(of, "2", now=2.0), SlotStatus.EXPIRED, 2.0)
    assert (of.status, of.reason) == (_S.HALTED, "halted: 4 failed, 2 may")
    of = rollouts.resume(of, order(3.0))
    of = ended(rollouts.begin(of, "3", now=3.0), SlotStatus.FAILED, 4.0)
    assert (of.status, of.failed) == (_S.COMPLETED, 6)


def test_hosts_that_failed_are_told_by_name() -> None:
    of = rollouts.begin(rollout(3, batch=3, max_failures=9), "1", now=1.0)
    records = {
        "h0": record(SlotStatus.FAILED, slot="h0", host="h0", error="x" * 999),
        "h1": record(SlotStatus.COMPLETED, slot="h1", host="h1"),
    }
    of = rollouts.end_batch(of, records, now=2.0)
    assert [(end.host, end.status, end.error) for end in of.failures] == [
        ("h0", "failed", "x" * 200),
        ("h2", "lost", "its answer is gone: the job was deleted, or has outlived its lifetime"),
    ]
    assert of.batches[0].outcomes == {"failed": 1, "completed": 1, "lost": 1}


@given(st.sampled_from([status for status in SlotStatus if status not in TERMINAL]))
def test_a_slot_that_has_not_ended_is_lost(status: SlotStatus) -> None:
    of = ended(rollouts.begin(rollout(1, max_failures=9), "1", now=1.0), status, 2.0)
    assert of.batches[0].outcomes == {"lost": 1}


def test_the_job_of_a_batch_follows_from_the_record() -> None:
    of = rollout(5, batch=2, start_within=5.0, timeout=2.0)
    of = ended(rollouts.begin(of, "1", now=10.0), SlotStatus.COMPLETED, 11.0)
    of = rollouts.begin(of, "2", now=20.0)
    job = rollouts.definition_of(ROLLOUT.decode(ROLLOUT.encode(of)))
    assert DEFINITION.encode(job) == DEFINITION.encode(rollouts.definition_of(of))
    assert (job.id, job.expected, job.rollout) == ("2", ("h2", "h3"), "0a")
    assert (job.created, job.start_by, job.finish_by, job.expires) == (20.0, 25.0, 80.0, 620.0)


def test_what_is_paused_in_its_last_batch_is_completed_nevertheless() -> None:
    of = rollouts.pause(rollouts.begin(rollout(1), "1", now=1.0), order(1.5))
    assert ended(of, SlotStatus.COMPLETED, 2.0).status is _S.COMPLETED


def test_who_aborts_is_told_to_the_job() -> None:
    of = rollouts.abort(rollouts.begin(rollout(1), "1", now=1.0), order(1.5, "wrong build"))
    assert not of.is_over
    assert rollouts.abortion(of) == Order(by="eve", at=1.5, reason="rollout 0a was aborted: wrong build")
    assert ended(of, SlotStatus.CANCELLED, 2.0).is_over


def test_an_illegal_move_says_what_is_possible() -> None:
    with pytest.raises(IllegalTransitionError, match="a rollout that is running cannot resume; possible from there: "):
        rollouts.resume(rollout(), order(1.0))
    aborted = rollouts.abort(rollout(), order(1.0))
    with pytest.raises(IllegalTransitionError, match="a rollout that is aborted cannot pause: it is over$"):
        rollouts.pause(aborted, order(2.0))
    with pytest.raises(IllegalTransitionError, match="cannot begin a batch now"):
        rollouts.begin(rollouts.begin(rollout(), "1", now=1.0), "2", now=1.0)


@pytest.mark.parametrize(
    ("value", "hosts", "count"), [(1, 9, 1), (12, 9, 9), ("1%", 9, 1), ("34%", 9, 4), ("100%", 9, 9), ("50%", 5, 3)]
)
def test_numbers_of_hosts(value: int | str, hosts: int, count: int) -> None:
    assert rollouts.host_count("batch", value, hosts, least=1) == count


@pytest.mark.parametrize("value", [0, -1, "0%", "101%", "5", "%", "-3%", "1.5%", "²%", 1.5, True, None])
def test_what_is_no_number_of_hosts(value: Any) -> None:
    with pytest.raises(InvalidSettingError, match='"1%" to "100%"'):
        rollouts.host_count("batch", value, 9, least=1)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 604801.0])
def test_what_is_no_pause(seconds: float) -> None:
    with pytest.raises(InvalidSettingError, match="out of range for pause"):
        rollouts.check_pause(seconds)
