"""The life of one slot of a job, as a table, and the moves that write its record.

Rules:
  1. A slot without a record is pending. Its first record is written by whoever claims or settles it.
  2. Only a claim starts an attempt. It takes a new lease; whoever held an older one is out.
  3. Every move but a claim and a settlement needs the lease of the running attempt.
  4. A terminal record is never written again.
  5. An illegal move raises and changes nothing.

All moves are pure: they take the record, the time and what they need, and return the record to be written by
compare-and-set. The diagram in the documentation is drawn from `MOVES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec.structs import replace

from osapi.errors import IllegalTransitionError
from osapi.rules.records import VERSION, Attempt, Record, SlotStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw

    from osapi.rules.records import Definition, Order

Move = Literal[
    "claim",
    "renew",
    "complete",
    "fail",
    "skip",
    "retry",
    "release",
    "take over",
    "expire",
    "give up",
    "cancel",
    "refuse",
]

_S = SlotStatus

MOVES: Final[Mapping[tuple[SlotStatus, Move], SlotStatus]] = {
    (_S.PENDING, "claim"): _S.RUNNING,
    (_S.PENDING, "expire"): _S.EXPIRED,
    (_S.PENDING, "give up"): _S.UNREACHABLE,
    (_S.PENDING, "cancel"): _S.CANCELLED,
    (_S.PENDING, "refuse"): _S.FAILED,
    (_S.RUNNING, "renew"): _S.RUNNING,
    (_S.RUNNING, "complete"): _S.COMPLETED,
    (_S.RUNNING, "fail"): _S.FAILED,
    (_S.RUNNING, "skip"): _S.SKIPPED,
    (_S.RUNNING, "expire"): _S.EXPIRED,
    (_S.RUNNING, "retry"): _S.RETRYABLE,
    (_S.RUNNING, "release"): _S.RETRYABLE,
    (_S.RUNNING, "take over"): _S.RUNNING,
    (_S.RUNNING, "cancel"): _S.CANCELLED,
    (_S.RETRYABLE, "claim"): _S.RUNNING,
    (_S.RETRYABLE, "expire"): _S.EXPIRED,
    (_S.RETRYABLE, "cancel"): _S.CANCELLED,
}

TERMINAL: Final = frozenset(SlotStatus) - {state for state, _ in MOVES}

# Errors travel in every record that tells of them; a whole traceback does not belong there.
MAX_ERROR = 4000
MAX_EARLIER_ERROR = 500


def advance(status: SlotStatus, move: Move) -> SlotStatus:
    """Return the state that a move leads to.

    Raises:
        IllegalTransitionError: the table has no such move.

    """
    try:
        return MOVES[status, move]
    except KeyError:
        known = ", ".join(name for state, name in MOVES if state == status) or "none: it is terminal"
        raise IllegalTransitionError(
            f"a slot that is {status} cannot {move}; possible from there: {known}",
        ) from None


def claim(
    before: Record | None,
    definition: Definition,
    *,
    slot: str,
    host: str,
    lease: str,
    until: float,
    now: float,
    max_attempts: int = 1,
) -> Record:
    """Start an attempt: the first, one after a retry, or one in place of a holder who fell silent."""
    earlier: tuple[Attempt, ...] = ()
    number = 1
    if before is None:
        status = advance(_S.PENDING, "claim")
    else:
        status = advance(before.status, "take over" if before.status is _S.RUNNING else "claim")
        number = before.attempt + 1
        earlier = before.earlier
        if before.status is _S.RUNNING:
            earlier = (*earlier, _ended(before, "lost", f"{before.host} fell silent", now))
    return Record(
        v=VERSION,
        job=definition.id,
        slot=slot,
        host=host,
        status=status,
        attempt=number,
        max_attempts=max_attempts,
        lease=lease,
        lease_until=until,
        claimed=now,
        updated=now,
        earlier=earlier,
    )


def renew(record: Record, *, until: float, now: float) -> Record:
    """Prolong the lease of the running attempt."""
    return replace(record, status=advance(record.status, "renew"), lease_until=until, updated=now)


def complete(record: Record, result: Raw, *, changed: bool, now: float) -> Record:
    """End the slot with a result."""
    return replace(
        record, status=advance(record.status, "complete"), result=result, changed=changed, updated=now, lease_until=0.0
    )


def fail(record: Record, error: str, *, now: float) -> Record:
    """End the slot with an error."""
    return _end(record, "fail", error, now)


def skip(record: Record, reason: str, *, now: float) -> Record:
    """End the slot because the host does not support the operation."""
    return _end(record, "skip", reason, now)


def expire(record: Record, error: str, *, now: float) -> Record:
    """End the slot because its time is over."""
    return _end(record, "expire", error, now)


def retry(record: Record, error: str, *, next_at: float, now: float) -> Record:
    """End the attempt with a transient error; another is due at `next_at`."""
    return _pause(record, "retry", _ended(record, "retryable", error, now, next_at), next_at, now)


def release(record: Record, reason: str, *, now: float) -> Record:
    """Give an attempt back, as when an agent stops; another may start at once."""
    return _pause(record, "release", _ended(record, "released", reason, now, now), now, now)


def settle(definition: Definition, slot: str, *, reachable: bool, now: float) -> Record:
    """End a slot that nobody claimed in time."""
    host = "" if definition.expected is None else slot
    if reachable:
        return _unstarted(definition, slot, "expire", f"not started by {host or 'any agent'} in time", now)
    return _unstarted(definition, slot, "give up", f"{host} was gone before it started the job", now)


def cancel(record: Record, order: Order, *, now: float) -> Record:
    """End the slot because somebody ordered it; the record says who, and how far it had come."""
    if record.status is _S.RUNNING:
        done = f"after {max(0.0, now - record.claimed):.1f} s of attempt {record.attempt}"
    else:
        done = f"after attempt {record.attempt}, before another"
    return replace(_end(record, "cancel", _ordered(order, done), now), by=order.by)


def cancel_unstarted(definition: Definition, slot: str, order: Order, *, now: float) -> Record:
    """End a slot that nobody has claimed because somebody ordered it."""
    return replace(_unstarted(definition, slot, "cancel", _ordered(order, "before it started"), now), by=order.by)


def refuse(definition: Definition, slot: str, host: str, reason: str, *, now: float) -> Record:
    """End a slot that an agent will not start, because nobody it trusts asked for that."""
    record = _unstarted(definition, slot, "refuse", f"refused by {host}: {reason}"[:MAX_ERROR], now)
    return replace(record, host=host)


def _ordered(order: Order, done: str) -> str:
    by = f" by {order.by}" if order.by else ""
    why = f": {order.reason}" if order.reason else ""
    return f"cancelled{by} {done}{why}"


def _unstarted(definition: Definition, slot: str, move: Move, error: str, now: float) -> Record:
    return Record(
        v=VERSION,
        job=definition.id,
        slot=slot,
        host="" if definition.expected is None else slot,
        status=advance(_S.PENDING, move),
        attempt=0,
        updated=now,
        error=error,
    )


def _end(record: Record, move: Move, error: str, now: float) -> Record:
    return replace(
        record, status=advance(record.status, move), error=error[:MAX_ERROR], updated=now, lease_until=0.0, next_at=None
    )


def _pause(record: Record, move: Move, ended: Attempt, next_at: float, now: float) -> Record:
    return replace(
        record,
        status=advance(record.status, move),
        error=ended.error,
        updated=now,
        next_at=next_at,
        lease="",
        lease_until=0.0,
        earlier=(*record.earlier, ended),
        progress=None,
        message="",
        progressed=0.0,
        output=None,
    )


def _ended(
    record: Record,
    outcome: Literal["retryable", "lost", "released"],
    error: str,
    now: float,
    next_at: float | None = None,
) -> Attempt:
    return Attempt(
        number=record.attempt,
        host=record.host,
        claimed=record.claimed,
        ended=now,
        outcome=outcome,
        error=error[:MAX_EARLIER_ERROR],
        next_at=next_at,
        progress=record.progress,
        message=record.message,
        progressed=record.progressed,
        output=record.output,
    )
