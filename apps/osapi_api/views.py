"""A stored job, an agent and a time in the words of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from osapi import SlotStatus
from osapi.rules.gather import slots
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import ANY_SLOT
from osapi.rules.secrets import HIDDEN
from osapi_api import shapes

if TYPE_CHECKING:
    from msgspec import Raw

    import osapi
    from osapi.rules.records import Definition, Event, Record


def timestamp(seconds: float) -> str:
    """Return Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(seconds: float) -> str:
    """Return a duration as Go prints it, in whole seconds."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def job_detail(job: osapi.JobDetail, operations: osapi.Operations) -> shapes.JobDetail:
    """Return a stored job without its secrets; of an operation that is not known here, all data may be one."""
    definition = job.definition
    operation = operations.get(definition.operation)
    records = job.records
    only = next(iter(records.values())) if len(slots(definition)) == 1 and records else None
    return shapes.JobDetail(
        id=definition.id,
        status=job.status,
        created=timestamp(definition.created),
        updated_at=timestamp(max([definition.created, *(record.updated for record in records.values())])),
        operation=shapes.JobOperation(type=definition.operation, data=_payload(operation, definition.data)),
        target=definition.target,
        expected=definition.expected,
        hostname=only.host if only else "",
        result=_result(operation, only) if only else None,
        changed=any(record.changed for record in records.values()),
        error=_error(records, alone=only is not None),
        responses={host_of(r): _response(operation, r) for r in records.values() if r.status in TERMINAL},
        agent_states=_agent_states(definition, records),
        timeline=tuple(_event(event) for event in job.timeline),
        attempts=max((record.attempt for record in records.values()), default=0),
        deadline=timestamp(definition.finish_by),
        retry_of=definition.retry_of,
        retried_as=job.retried_as,
    )


def host_of(record: Record) -> str:
    """Return the host that a record is of; that of a job for one of N that nobody took has none."""
    return record.host or ANY_SLOT


def _payload(operation: osapi.Operation | None, raw: Raw) -> Any:
    return HIDDEN if operation is None else operation.shown(raw)


def _result(operation: osapi.Operation | None, record: Record) -> Any:
    # What is no result is empty, which JSON does not have; nor is one that lies beside its record, as in a list.
    completed = record.status is SlotStatus.COMPLETED and record.parts is None
    return _payload(operation, record.result) if completed else None


def _response(operation: osapi.Operation | None, record: Record) -> shapes.HostResponse:
    return shapes.HostResponse(
        hostname=host_of(record),
        status=record.status,
        changed=record.changed,
        data=_result(operation, record),
        error=record.error or "",
    )


def _agent_states(definition: Definition, records: dict[str, Record]) -> dict[str, shapes.AgentState]:
    states: dict[str, shapes.AgentState] = {}
    for slot in slots(definition):
        record = records.get(slot)
        if record is not None:
            states[host_of(record)] = _agent_state(record)
        elif slot != ANY_SLOT:
            states[slot] = shapes.AgentState(status=SlotStatus.PENDING, error="", duration="0.000s")
    return states


def _agent_state(record: Record) -> shapes.AgentState:
    seconds = max(0.0, record.updated - record.claimed) if record.attempt else 0.0
    return shapes.AgentState(status=record.status, error=record.error or "", duration=f"{seconds:.3f}s")


def _error(records: dict[str, Record], *, alone: bool) -> str:
    if alone:
        return next(iter(records.values())).error or ""
    failed = sorted((host_of(record), record.error) for record in records.values() if record.error)
    return "; ".join(f"{host}: {error}" for host, error in failed)


def _event(event: Event) -> shapes.TimelineEvent:
    return shapes.TimelineEvent(
        timestamp=timestamp(event.at),
        event=event.event,
        hostname=event.host,
        message=event.message,
        error=event.error,
    )
