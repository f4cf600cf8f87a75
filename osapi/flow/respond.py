"""Responding: write how an attempt ended, then acknowledge."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.errors import ConflictError, LimitReachedError, PayloadTooLargeError, TransportError
from osapi.flow.claim import answer
from osapi.flow.execute import Again, Cancelled, Completed, Failed, Lost, Skipped
from osapi.flow.notify import notify_later
from osapi.flow.parts import store_parts
from osapi.rules import lifecycle
from osapi.rules.records import SlotStatus
from osapi.rules.retry import give_back, next_attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.flow.counters import Counters
    from osapi.flow.execute import Expired, Outcome
    from osapi.flow.lease import Run
    from osapi.flow.store import Store
    from osapi.rules.records import Record

_log = logging.getLogger("osapi.agent")

# A retry that is due sooner is left to the delivery itself: a schedule would cost more than the wait.
_SHORT_SECONDS = 1.0

# How long an agent that stops may take to give one job back.
_RELEASE_SECONDS = 1.0


async def respond(store: Store, counters: Counters, run: Run, outcome: Outcome, draw: float) -> None:
    """Write the record of an attempt that ended, arrange for another if one is due, and answer the delivery.

    If the lease was lost, the result is refused and dropped. Cancelled, or with the broker away, the delivery stays
    unanswered: the lease runs out, and the job is taken over.

    Raises:
        DisconnectedError, UncertainError

    """
    if isinstance(outcome, Lost):
        counters.lost += 1
        return
    await run.conclude_reports()
    record = conclude(run, outcome, now=store.now(), draw=draw)
    await settle(store, counters, run, record, given_up=_given_up(run, outcome, record))


async def settle(store: Store, counters: Counters, run: Run, record: Record, *, given_up: bool = False) -> None:
    """Write the record that ends an attempt, and answer its delivery; raises as `respond` does."""
    try:
        stored = await _finish(store, run, record)
    except ConflictError as error:
        counters.lost += 1
        _log.warning("job %s: a late result is refused: %s", record.job, error)
        return
    counters.ended(stored.status)
    if stored.status is SlotStatus.RETRYABLE:
        await _await_next(store, run, stored)
    else:
        answer(run.claimed.delivery, stored, given_up=given_up)


def _given_up(run: Run, outcome: Outcome, record: Record) -> bool:
    """Tell whether a job failed though it might have succeeded later: its policy allows retries, and none is left."""
    return isinstance(outcome, Again) and record.status is SlotStatus.FAILED and run.claimed.policy.attempts > 1


async def _finish(store: Store, run: Run, record: Record) -> Record:
    try:
        record = await store_parts(store, run.claimed, record)
        await run.finish(record)
    except (PayloadTooLargeError, LimitReachedError) as error:
        # There is room for this one: it takes the place of the claim.
        record = lifecycle.fail(run.claimed.record, f"the result cannot be stored: {error}", now=store.now())
        await run.finish(record)
    return record


def conclude(
    run: Run, outcome: Completed | Failed | Skipped | Again | Cancelled | Expired, *, now: float, draw: float
) -> Record:
    """Return the record that an outcome makes of the running attempt's."""
    record = run.claimed.record
    if isinstance(outcome, Completed):
        return lifecycle.complete(record, outcome.result, changed=outcome.changed, now=now)
    if isinstance(outcome, Failed):
        return lifecycle.fail(record, outcome.error, now=now)
    if isinstance(outcome, Skipped):
        return lifecycle.skip(record, outcome.reason, now=now)
    if isinstance(outcome, Again):
        return _again(run, outcome, now, draw)
    if isinstance(outcome, Cancelled):
        return lifecycle.cancel(record, outcome.order, now=now)
    return lifecycle.expire(record, "its time was over while it ran", now=now)


def _again(run: Run, outcome: Again, now: float, draw: float) -> Record:
    claimed = run.claimed
    at = next_attempt(
        claimed.policy,
        claimed.record,
        now=now,
        finish_by=claimed.definition.finish_by,
        draw=draw,
        after=outcome.after,
    )
    if at is None:
        return lifecycle.fail(claimed.record, outcome.error, now=now)
    return lifecycle.retry(claimed.record, outcome.error, next_at=at, now=now)


async def _await_next(store: Store, run: Run, record: Record) -> None:
    at = record.next_at or 0.0
    wait = max(0.0, at - store.now())
    if wait >= _SHORT_SECONDS:
        try:
            await notify_later(store, run.claimed.definition, record, at)
        except TransportError as error:
            _log.warning("job %s: its retry could not be scheduled, its delivery waits for it: %s", record.job, error)
        else:
            run.claimed.delivery.ack()
            return
    run.claimed.delivery.nak(wait)


async def release(store: Store, run: Run, deaf: Callable[[], Awaitable[None]]) -> None:
    """Give an attempt back because its agent stops, within a second, whatever else is cancelled.

    One that may not be started over has failed, and is a dead letter, as if its agent had fallen silent.

    `deaf` returns when the agent receives no more, so that the job goes to another.
    """
    claimed = run.claimed
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _RELEASE_SECONDS):
        if claimed.record.status is SlotStatus.RUNNING:
            try:
                # The other half of the time is for the record, which matters more.
                with trio.move_on_after(_RELEASE_SECONDS / 2):
                    await run.conclude_reports()
                record = give_back(claimed.record, claimed.policy, now=store.now())
                await run.finish(record)
                if record.status is SlotStatus.FAILED:
                    answer(claimed.delivery, record, given_up=True)
                    return
            except TransportError as error:
                _log.warning("job %s: could not be given back: %s", claimed.definition.id, error)
        await deaf()
    claimed.delivery.nak()
