"""Observers: what a program may want to know of each attempt while it runs, to measure it or to trace it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from msgspec import Struct

from osapi.rules.records import Kind, SlotStatus

if TYPE_CHECKING:
    from osapi.flow.claim import Claimed


class Attempt(Struct, kw_only=True):
    """One attempt at one slot of a job.

    `traceparent` says which trace it belongs to (W3C Trace Context), empty if none was told. `status` is how its record
    was stored when it ended, None before, and for good if the lease was lost or the attempt given back.
    """

    job_id: str
    operation: str
    kind: Kind
    host: str
    number: int
    traceparent: str = ""
    status: SlotStatus | None = None


# The block is entered before the handler runs and left when the answer is stored. It must not wait, and not fail.
Observer = Callable[[Attempt], AbstractContextManager[object]]


def attempt_of(claimed: Claimed, traceparent: str) -> Attempt:
    """Return the attempt that a claim begins."""
    definition = claimed.definition
    return Attempt(
        job_id=definition.id,
        operation=definition.operation,
        kind=definition.kind,
        host=claimed.record.host,
        number=claimed.record.attempt,
        traceparent=traceparent,
    )
