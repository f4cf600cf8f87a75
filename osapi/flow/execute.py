"""Executing: the handler under its cancel scope, and what became of it."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, cast

import trio
from msgspec import Raw, Struct

from osapi.errors import InvalidPayloadError, Retry, Skip
from osapi.operations import Job
from osapi.rules.facts import resolve_references
from osapi.rules.records import Order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from osapi.flow.lease import Run
    from osapi.operations import Operation
    from osapi.rules.facts import FlatFacts

_log = logging.getLogger("osapi.agent")


class Completed(Struct, frozen=True, gc=False):
    """The handler returned what it promises."""

    result: Raw
    changed: bool


class Failed(Struct, frozen=True):
    """The handler failed for good."""

    error: str


class Again(Struct, frozen=True):
    """The handler failed in a way that may pass; it asked for `after` seconds at least."""

    error: str
    after: float = 0.0


class Skipped(Struct, frozen=True):
    """The handler says that this host does not support it."""

    reason: str


class Expired(Struct, frozen=True):
    """The job's time was over while the handler ran."""


class Cancelled(Struct, frozen=True):
    """Somebody ordered the job's end while the handler ran."""

    order: Order


class Lost(Struct, frozen=True):
    """The lease ended while the handler ran."""


Outcome: TypeAlias = Completed | Failed | Again | Skipped | Expired | Cancelled | Lost


async def execute(run: Run, facts: FlatFacts) -> Outcome:
    """Run the handler of a claimed slot and say what became of it; its errors never leave here.

    The handler gets the data with the host's `facts` in the place of what refers to them.
    """
    claimed = run.claimed
    definition, record = claimed.definition, claimed.record
    job = Job(
        id=definition.id,
        operation=definition.operation,
        target=definition.target,
        host=record.host,
        attempt=record.attempt,
        created=definition.created,
        finish_by=definition.finish_by,
        reporter=run,
    )
    outcome: Outcome | None = None
    with run.scope:
        outcome = await _call(run, job, definition.data, facts)
    return _cut_short(run) if outcome is None else outcome


async def _call(run: Run, job: Job, data: Raw, facts: FlatFacts) -> Outcome:
    operation = run.claimed.operation
    try:
        data = resolve_references(operation.name, data, facts)
        run.secrets = operation.secrets_of(data)
        if operation.takes_data:
            result = await operation.handler(job, operation.decode_data(data))
        else:
            operation.decode_data(data)
            result = await operation.handler(job)
        return Completed(operation.encode_result(result), _changed(operation, result))
    except InvalidPayloadError as error:
        return Failed(operation.scrubbed(str(error), data))
    except Skip as skip:
        return Skipped(operation.scrubbed(str(skip), data))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is the job's result, not the agent's
        return _failure(operation, job, data, error)


def _changed(operation: Operation, result: object) -> bool:
    return operation.kind == "modify" and bool(getattr(result, "changed", True))


def _failure(operation: Operation, job: Job, data: Raw, error: Exception) -> Outcome:
    leaves = list(_leaves(error))
    told = operation.scrubbed("; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in leaves), data)
    if all(isinstance(leaf, operation.transient) for leaf in leaves):
        return Again(told, max((leaf.after for leaf in leaves if isinstance(leaf, Retry)), default=0.0))
    if operation.secrets:
        # What a formatter prints of an error cannot be scrubbed afterwards.
        trace = operation.scrubbed("".join(traceback.format_exception(error)), data)
        _log.warning("job %s: %s failed on %s\n%s", job.id, job.operation, job.host, trace)
    else:
        _log.warning("job %s: %s failed on %s", job.id, job.operation, job.host, exc_info=error)
    return Failed(told)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    # A handler's own nursery wraps what its tasks raised.
    if issubclass(type(error), BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _cut_short(run: Run) -> Outcome:
    if run.lost or trio.current_time() >= run.lease_ends_at:
        return Lost()
    if run.order is not None:
        return Cancelled(run.order)
    if run.timeout_is_first:
        return _timed_out(run.claimed.operation, run.claimed.policy.timeout)
    return Expired()


def _timed_out(operation: Operation, seconds: float) -> Outcome:
    told = f"timed out after {seconds:g} s"
    return Again(told) if issubclass(trio.TooSlowError, operation.transient) else Failed(told)
