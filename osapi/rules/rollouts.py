"""A rollout: a broadcast in batches, as a record that says what has been done, and the moves that change it.

Rules:
  1. Whom it is for, and in which batches, is frozen when it is made.
  2. A batch is written down, with the id of its job, before that job exists: whoever goes on knows what to look for.
     The job follows from the record alone, so that two processes would submit the same one.
  3. A batch begins only when the one before it has ended, the pause is over, and the rollout is running.
  4. When more hosts than `max_failures` have failed, or any host of the canary, it halts; nothing that has begun is
     stopped.
  5. Resuming forgives the failures so far. Aborting is final, and cancels the job that is running.
  6. An illegal move raises and changes nothing.

All moves are pure; the record is written by compare-and-set.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from osapi.errors import IllegalTransitionError, InvalidSettingError
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import VERSION, Definition, Order, SlotStatus
from osapi.rules.rollout_records import Batch, HostEnd, Rollout, RolloutStatus, batch_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.rules.records import Record

Move = Literal["halt", "complete", "pause", "resume", "abort"]

MAX_PAUSE: Final = 7 * 86_400.0

# The record names so many hosts that failed, and counts all of them.
MAX_TOLD: Final = 100
MAX_ERROR: Final = 200

# A host that has nothing to do has not failed.
_WELL: Final = frozenset({SlotStatus.COMPLETED, SlotStatus.SKIPPED})

_LOST: Final = "its answer is gone: the job was deleted, or has outlived its lifetime"

_S = RolloutStatus

MOVES: Final[Mapping[tuple[RolloutStatus, Move], RolloutStatus]] = {
    (_S.RUNNING, "halt"): _S.HALTED,
    (_S.RUNNING, "complete"): _S.COMPLETED,
    (_S.RUNNING, "pause"): _S.PAUSED,
    (_S.RUNNING, "abort"): _S.ABORTED,
    (_S.PAUSED, "complete"): _S.COMPLETED,
    (_S.PAUSED, "resume"): _S.RUNNING,
    (_S.PAUSED, "abort"): _S.ABORTED,
    (_S.HALTED, "resume"): _S.RUNNING,
    (_S.HALTED, "abort"): _S.ABORTED,
}


# --- Sizes -------------------------------------------------------------------------------------------------


def host_count(name: str, value: int | str, hosts: int, *, least: int) -> int:
    """Return a number of hosts, given as such or as a percentage of all of them, which is rounded up.

    Raises:
        InvalidSettingError

    """
    count = value
    if isinstance(value, str):
        number = value.removesuffix("%")
        if number == value or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 100:
            raise InvalidSettingError(value, f"is no number of hosts ({name})", 'use a number, or "1%" to "100%"')
        count = ceil(int(number) * hosts / 100)
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise InvalidSettingError(value, f"is out of range for {name}", f'use {least} or more, or "1%" to "100%"')
    return min(count, hosts)


def check_pause(seconds: float) -> float:
    """Return the pause between two batches, or refuse it.

    Raises:
        InvalidSettingError

    """
    if not 0.0 <= seconds <= MAX_PAUSE:
        raise InvalidSettingError(seconds, "is out of range for pause", f"use 0 to {MAX_PAUSE:g} seconds")
    return seconds


# --- What is next ------------------------------------------------------------------------------------------


class Begin(Struct, frozen=True):
    """Begin the next batch."""


class Wait(Struct, frozen=True):
    """Wait until then, or until something changes."""

    until: float


class Drive(Struct, frozen=True):
    """See to the job of the batch that has begun, until it has ended."""

    batch: Batch


class Rest(Struct, frozen=True):
    """Do nothing until something changes."""


def next_step(rollout: Rollout, now: float) -> Begin | Wait | Drive | Rest:
    """Return what is to be done for a rollout."""
    if rollout.running is not None:
        return Drive(rollout.running)
    if rollout.status is not _S.RUNNING:
        return Rest()
    return Wait(rollout.next_at) if rollout.next_at > now else Begin()


def definition_of(rollout: Rollout) -> Definition:
    """Return the job of the batch that has begun last; the same for everybody who asks."""
    plan, number = rollout.plan, len(rollout.batches) - 1
    batch = rollout.batches[number]
    return Definition(
        v=VERSION,
        id=batch.job,
        operation=plan.operation,
        kind=plan.kind,
        target=plan.target,
        origin=plan.origin,
        data=plan.data,
        created=batch.started,
        finish_by=batch.started + plan.within,
        expires=batch.started + plan.lifetime,
        expected=rollout.hosts(number),
        policy=plan.policy,
        timeout=plan.timeout,
        start_by=None if plan.start_within is None else batch.started + plan.start_within,
        rollout=plan.id,
    )


# --- Moves -------------------------------------------------------------------------------------------------


def advance(status: RolloutStatus, move: Move) -> RolloutStatus:
    """Return the status that a move leads to.

    Raises:
        IllegalTransitionError: the table has no such move.

    """
    try:
        return MOVES[status, move]
    except KeyError:
        known = ", ".join(name for state, name in MOVES if state == status)
        why = f"; possible from there: {known}" if known else ": it is over"
        raise IllegalTransitionError(f"a rollout that is {status} cannot {move}{why}") from None


def begin(rollout: Rollout, job: str, *, now: float) -> Rollout:
    """Write down the next batch and the id of its job; only `next_step` says when.

    Raises:
        IllegalTransitionError: it is not the time.

    """
    if not isinstance(next_step(rollout, now), Begin):
        raise IllegalTransitionError(f"a rollout that is {rollout.status} cannot begin a batch now")
    return replace(rollout, batches=(*rollout.batches, Batch(job=job, started=now)), updated=now)


def submitted(rollout: Rollout, *, now: float) -> Rollout:
    """Write down that the job of the batch exists: from here on one that is missing was deleted."""
    return _with_last(rollout, replace(rollout.batches[-1], submitted=True), now)


def end_batch(rollout: Rollout, records: Mapping[str, Record], *, now: float) -> Rollout:
    """End the batch with the records of its slots; a host without a terminal one has failed."""
    number = len(rollout.batches) - 1
    ends = {host: _end_of(number, host, records.get(host)) for host in rollout.hosts(number)}
    failures = [end for end in ends.values() if end.status not in _WELL]
    outcomes: dict[str, int] = {}
    for end in ends.values():
        outcomes[end.status] = outcomes.get(end.status, 0) + 1
    after = replace(
        _with_last(rollout, replace(rollout.batches[-1], ended=now, outcomes=outcomes), now),
        next_at=now + rollout.plan.pause,
        failed=rollout.failed + len(failures),
        failures=(*rollout.failures, *failures)[:MAX_TOLD],
    )
    return _concluded(after, is_canary=bool(rollout.plan.canary) and number == 0, failed=len(failures))


def _end_of(number: int, host: str, record: Record | None) -> HostEnd:
    if record is None or record.status not in TERMINAL:
        return HostEnd(batch=number, host=host, status="lost", error=_LOST)
    return HostEnd(batch=number, host=host, status=str(record.status), error=(record.error or "")[:MAX_ERROR])


def _concluded(rollout: Rollout, *, is_canary: bool, failed: int) -> Rollout:
    if rollout.status is _S.ABORTED:
        return rollout
    if len(rollout.batches) == batch_count(rollout.plan):
        return replace(rollout, status=advance(rollout.status, "complete"))
    counted = rollout.failed - rollout.forgiven
    if rollout.status is _S.RUNNING and (counted > rollout.plan.max_failures or (is_canary and failed)):
        why = f"{failed} of the canary failed" if is_canary else f"{counted} failed, {rollout.plan.max_failures} may"
        return replace(rollout, status=advance(rollout.status, "halt"), by="", reason=f"halted: {why}")
    return rollout


def _with_last(rollout: Rollout, batch: Batch, now: float) -> Rollout:
    return replace(rollout, batches=(*rollout.batches[:-1], batch), updated=now)


def pause(rollout: Rollout, order: Order) -> Rollout:
    """Begin no batch until somebody resumes it; the one that has begun goes on."""
    return _ordered(rollout, "pause", order)


def resume(rollout: Rollout, order: Order) -> Rollout:
    """Go on, and forgive what has failed so far."""
    return replace(_ordered(rollout, "resume", order), forgiven=rollout.failed)


def abort(rollout: Rollout, order: Order) -> Rollout:
    """Begin no batch any more; the job of the one that has begun is to be cancelled."""
    return _ordered(rollout, "abort", order)


def abortion(rollout: Rollout) -> Order:
    """Return the order that cancels the job of the batch that has begun."""
    why = f"rollout {rollout.id} was aborted" + (f": {rollout.reason}" if rollout.reason else "")
    return Order(by=rollout.by, at=rollout.updated, reason=why)


def _ordered(rollout: Rollout, move: Move, order: Order) -> Rollout:
    status = advance(rollout.status, move)
    return replace(rollout, status=status, by=order.by, reason=order.reason, updated=order.at)
