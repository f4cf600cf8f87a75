"""A job as a whole: the fold over the records of its slots, its timeline, its answers.

The fold does not depend on the order of the records, and is safe under duplicates: of each slot only the record
of the highest revision counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import ANY_SLOT, Event, JobStatus, SlotStatus
from osapi.rules.retry import failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from osapi.rules.records import Attempt, Definition, Record

_S = SlotStatus

_ENDS: Final[Mapping[frozenset[SlotStatus], JobStatus]] = {
    frozenset({_S.COMPLETED}): JobStatus.COMPLETED,
    frozenset({_S.COMPLETED, _S.SKIPPED}): JobStatus.COMPLETED,
    frozenset({_S.SKIPPED}): JobStatus.SKIPPED,
    frozenset({_S.CANCELLED}): JobStatus.CANCELLED,
    frozenset({_S.EXPIRED}): JobStatus.EXPIRED,
    frozenset({_S.UNREACHABLE}): JobStatus.EXPIRED,
    frozenset({_S.EXPIRED, _S.UNREACHABLE}): JobStatus.EXPIRED,
}

# A host that came to an end of its own.
_REACHED: Final = frozenset({_S.COMPLETED, _S.FAILED})

_ONLY_PENDING: Final = frozenset({_S.PENDING})
_ONLY_RETRYABLE: Final = frozenset({_S.RETRYABLE})

PROGRESS: Final = "progress"

_EVENT_OF: Final[Mapping[SlotStatus, str]] = {
    _S.COMPLETED: "completed",
    _S.FAILED: "failed",
    _S.SKIPPED: "skipped",
    _S.EXPIRED: "expired",
    _S.UNREACHABLE: "expired",
    _S.CANCELLED: "cancelled",
    _S.UNTRUSTED: "untrusted",
}


def slots(definition: Definition) -> tuple[str, ...]:
    """Return the slots of a job: one for one of N, else one for each host that it was frozen for."""
    return (ANY_SLOT,) if definition.expected is None else definition.expected


def first_due(definition: Definition) -> float:
    """Return when a job may have to be settled for the first time."""
    return definition.finish_by if definition.start_by is None else min(definition.start_by, definition.finish_by)


def slot_due(definition: Definition, record: Record | None) -> float:
    """Return when one slot is to be settled if nothing has ended it by then."""
    return first_due(definition) if record is None else definition.finish_by


def fold(statuses: Iterable[SlotStatus]) -> JobStatus:
    """Return the status of a job from those of all its slots."""
    seen = frozenset(statuses)
    if seen <= TERMINAL:
        return _ended(seen)
    if seen == _ONLY_PENDING:
        return JobStatus.SUBMITTED
    if seen - TERMINAL == _ONLY_RETRYABLE:
        return JobStatus.RETRYABLE
    return JobStatus.PROCESSING


def _ended(seen: frozenset[SlotStatus]) -> JobStatus:
    end = _ENDS.get(seen)
    if end is not None:
        return end
    if _S.CANCELLED in seen and not seen & _REACHED:
        return JobStatus.CANCELLED
    return JobStatus.PARTIAL_FAILURE if _S.COMPLETED in seen else JobStatus.FAILED


def job_status(definition: Definition, records: Mapping[str, Record]) -> JobStatus:
    """Return the status of a job from the records that exist, by slot."""
    return fold(records[slot].status if slot in records else _S.PENDING for slot in slots(definition))


def timeline(definition: Definition, records: Iterable[Record]) -> list[Event]:
    """Return everything that is known to have happened, oldest first."""
    events = [Event(at=definition.created, event="submitted", message=_submitted(definition))]
    for record in records:
        events.extend(record_events(record))
    events.sort(key=lambda event: event.at)
    return events


def _submitted(definition: Definition) -> str:
    later = "" if definition.due is None else f", due {_moment(definition.due)}"
    return f"to {definition.target}{later}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def record_events(record: Record) -> list[Event]:
    """Return what one record tells, oldest first; a later record of the slot only adds to it.

    Of the progress in each attempt it tells the last.
    """
    events: list[Event] = []
    for attempt in record.earlier:
        events.append(_started(attempt.claimed, attempt.host, attempt.number))
        events.extend(_progress(attempt))
        events.append(
            Event(
                at=attempt.ended,
                event="retryable",
                host=attempt.host,
                message=_next(attempt, record.max_attempts),
                error=attempt.error,
            )
        )
    if record.status is not _S.RETRYABLE and record.attempt:
        events.append(_started(record.claimed, record.host, record.attempt))
        events.extend(_progress(record))
    if record.status in TERMINAL:
        message = f"attempt {record.attempt}" if record.attempt else ""
        events.append(
            Event(
                at=record.updated,
                event=_EVENT_OF[record.status],
                host=record.host,
                message=message,
                error=record.error or "",
            )
        )
    return events


def _started(at: float, host: str, number: int) -> Event:
    return Event(at=at, event="started", host=host, message=f"attempt {number}")


def _progress(of: Attempt | Record) -> list[Event]:
    if not of.progressed:
        return []
    share = "" if of.progress is None else f"{of.progress:.0%}"
    message = ": ".join(told for told in (share, of.message) if told)
    return [Event(at=of.progressed, event=PROGRESS, host=of.host, message=message, progress=of.progress)]


def _next(attempt: Attempt, most: int) -> str:
    ended, next_at = attempt.ended, attempt.next_at
    wait = "" if next_at is None or next_at <= ended else f", next in {next_at - ended:.1f} s"
    # Attempts that were lost or given back count in the number, not in what the policy allows.
    return f"attempt {attempt.number}{f' of {most}' if attempt.number <= most > 1 else ''}{wait}"


def summary(definition: Definition, records: Mapping[str, Record]) -> str:
    """Return a job's status in a few words, as `retryable (2/5, next 14:03:10 UTC)` or `processing (3/10 hosts)`."""
    status = job_status(definition, records)
    if status is JobStatus.RETRYABLE:
        waiting = [record for record in records.values() if record.status is _S.RETRYABLE]
        first = min(waiting, key=lambda record: record.next_at or 0.0)
        at = datetime.fromtimestamp(first.next_at or first.updated, UTC)
        return f"{status} ({failures(first)}/{first.max_attempts}, next {at:%H:%M:%S} UTC)"
    if definition.expected is not None and len(definition.expected) > 1:
        ended = sum(record.status in TERMINAL for record in records.values())
        return f"{status} ({ended}/{len(definition.expected)} hosts)"
    return str(status)
