"""The life of a slot: the table, and the moves that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from osapi.errors import IllegalTransitionError
from osapi.rules import lifecycle
from osapi.rules.lifecycle import MOVES, TERMINAL, Move
from osapi.rules.records import Order, SlotStatus
from tests.rules.builders import definition, record, statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.rules.records import Record

S = SlotStatus

ACTS: dict[str, Callable[[Record], Record]] = {
    "claim": lambda r: lifecycle.claim(r, definition(), slot="_any", host="b", lease="t.1", until=150.0, now=130.0),
    "renew": lambda r: lifecycle.renew(r, until=150.0, now=130.0),
    "complete": lambda r: lifecycle.complete(r, Raw(b"1"), changed=False, now=130.0),
    "fail": lambda r: lifecycle.fail(r, "no", now=130.0),
    "skip": lambda r: lifecycle.skip(r, "no", now=130.0),
    "expire": lambda r: lifecycle.expire(r, "late", now=130.0),
    "cancel": lambda r: lifecycle.cancel(r, Order(by="alice", at=120.0), now=130.0),
    "retry": lambda r: lifecycle.retry(r, "again", next_at=140.0, now=130.0),
    "release": lambda r: lifecycle.release(r, "stopped", now=130.0),
}


def test_terminal_states_are_those_without_a_way_out() -> None:
    ended = {S.COMPLETED, S.FAILED, S.SKIPPED, S.EXPIRED, S.UNREACHABLE, S.CANCELLED}
    assert ended | {S.UNTRUSTED} == TERMINAL


def test_every_state_is_reached_and_every_move_is_used() -> None:
    assert {*MOVES.values(), S.PENDING} == set(SlotStatus) - {S.UNTRUSTED}
    assert {move for _, move in MOVES} == set(get_args(Move))


@given(statuses, st.sampled_from(get_args(Move)))
def test_what_the_table_lacks_is_refused_and_says_what_is_possible(status: SlotStatus, move: Move) -> None:
    if (status, move) in MOVES:
        assert lifecycle.advance(status, move) is MOVES[status, move]
        return
    with pytest.raises(IllegalTransitionError, match=f"{status} cannot {move}; possible from there:"):
        lifecycle.advance(status, move)


@given(statuses, st.sampled_from(sorted(ACTS)))
def test_moves_follow_the_table_and_leave_the_record_alone(status: SlotStatus, act: str) -> None:
    before = record(status)
    copy = record(status)
    move = "take over" if act == "claim" and status is S.RUNNING else act
    known = next((to for (state, name), to in MOVES.items() if (state, name) == (status, move)), None)
    if known is None:
        with pytest.raises(IllegalTransitionError):
            ACTS[act](before)
    else:
        assert ACTS[act](before).status is known
    assert before == copy


def test_the_first_claim_starts_attempt_one() -> None:
    claimed = lifecycle.claim(None, definition(), slot="_any", host="web-01", lease="s.1", until=140.0, now=110.0)
    assert (claimed.status, claimed.attempt, claimed.lease, claimed.lease_until) == (S.RUNNING, 1, "s.1", 140.0)
    assert claimed.earlier == ()


def test_a_takeover_tells_who_was_lost() -> None:
    taken = ACTS["claim"](record())
    assert (taken.host, taken.attempt, taken.lease) == ("b", 2, "t.1")
    (lost,) = taken.earlier
    assert (lost.number, lost.host, lost.outcome, lost.error) == (1, "web-01", "lost", "web-01 fell silent")


def test_a_retry_gives_the_lease_up_and_keeps_the_story() -> None:
    paused = ACTS["retry"](record())
    assert (paused.lease, paused.lease_until, paused.next_at) == ("", 0.0, 140.0)
    assert [(a.number, a.outcome, a.error) for a in paused.earlier] == [(1, "retryable", "again")]
    again = ACTS["claim"](paused)
    assert (again.attempt, again.next_at, again.error) == (2, None, None)
    assert again.earlier == paused.earlier


def test_ends_hold_no_lease() -> None:
    for act in ("complete", "fail", "skip", "expire"):
        assert ACTS[act](record()).lease_until == 0.0


def test_long_errors_are_cut() -> None:
    failed = lifecycle.fail(record(), "x" * 10_000, now=130.0)
    paused = lifecycle.retry(record(), "x" * 10_000, next_at=140.0, now=130.0)
    assert len(failed.error or "") == lifecycle.MAX_ERROR
    assert len(paused.earlier[0].error) == lifecycle.MAX_EARLIER_ERROR


def test_silent_slots_are_settled_by_name() -> None:
    broadcast = definition(expected=("web-01",), target="_all")
    gone = lifecycle.settle(broadcast, "web-01", reachable=False, now=201.0)
    late = lifecycle.settle(broadcast, "web-01", reachable=True, now=201.0)
    anyone = lifecycle.settle(definition(), "_any", reachable=True, now=201.0)
    assert (gone.status, gone.host) == (S.UNREACHABLE, "web-01")
    assert (late.status, late.host) == (S.EXPIRED, "web-01")
    assert (anyone.status, anyone.host, anyone.error) == (S.EXPIRED, "", "not started by any agent in time")
