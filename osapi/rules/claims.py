"""What an agent does with a notification: a decision, given all that is stored about the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from osapi.rules import gather, lifecycle, retry
from osapi.rules.records import ANY_SLOT, Definition, Policy, Record, SlotStatus
from osapi.rules.targets import asked_of

if TYPE_CHECKING:
    from typing import TypeAlias

# Between the deliveries of a job that nobody here can do: seconds, doubled each time.
_FIRST_PASS = 0.05
_LONGEST_PASS = 5.0


class Take(Struct, frozen=True):
    """Write this record; who succeeds runs the job."""

    record: Record


class Close(Struct, frozen=True):
    """Write this terminal record and acknowledge: there is nothing to run.

    With `given_up` the job could have been run again, and is a dead letter.
    """

    record: Record
    given_up: bool = False


class Drop(Struct, frozen=True):
    """Acknowledge: there is nothing to do."""

    reason: str


class Wait(Struct, frozen=True):
    """Ask for another delivery after `delay` seconds: somebody else may be at it, or can do it."""

    delay: float
    reason: str


Decision: TypeAlias = Take | Close | Drop | Wait


class Claimant(Struct, frozen=True, gc=False):
    """The agent that decides: the lease it would take, whether it offers the operation, and what addresses it.

    `labels` holds every label that matches it, as `label_prefixes` returns them.
    """

    host: str
    labels: frozenset[str]
    lease: str
    lease_length: float
    offered: bool


def slot_of(definition: Definition, host: str) -> str:
    """Return the slot that a host would fill."""
    return ANY_SLOT if definition.expected is None else host


def decide(
    definition: Definition, before: Record | None, me: Claimant, policy: Policy, *, now: float, deliveries: int
) -> Decision:
    """Decide what to do with a delivery of a job, `before` being the record of the slot, if there is one."""
    if definition.expected is not None and me.host not in definition.expected:
        return Drop(f"{me.host} is not among the hosts that it was frozen for")
    label = asked_of(definition.target)
    if label and label not in me.labels:
        return Drop(f"{me.host} does not have {label}")
    if before is not None:
        if before.status in lifecycle.TERMINAL:
            return Drop(f"it is {before.status} already")
        held = _held(before, now)
        if held is not None:
            return held
    if definition.due is not None and definition.due > now:
        return Wait(definition.due - now, "it is not due")
    if now >= gather.slot_due(definition, before):
        return Close(_expired(definition, before, me.host, now))
    if not me.offered:
        return _not_offered(definition, before, me, now, deliveries)
    if before is not None and before.status is SlotStatus.RUNNING and retry.losses(before) >= policy.takeovers:
        told = f"{before.host} fell silent; no takeover is left"
        return Close(lifecycle.fail(before, told, now=now), given_up=True)
    return Take(_claimed(definition, before, me, now, policy.attempts))


def _held(before: Record, now: float) -> Wait | None:
    if before.status is SlotStatus.RUNNING and before.lease_until > now:
        return Wait(before.lease_until - now, f"{before.host} holds the lease")
    if before.next_at is not None and before.next_at > now:
        return Wait(before.next_at - now, "the next attempt is not due")
    return None


def _claimed(definition: Definition, before: Record | None, me: Claimant, now: float, max_attempts: int = 1) -> Record:
    return lifecycle.claim(
        before,
        definition,
        slot=slot_of(definition, me.host),
        host=me.host,
        lease=me.lease,
        until=now + me.lease_length,
        now=now,
        max_attempts=max_attempts,
    )


def _expired(definition: Definition, before: Record | None, host: str, now: float) -> Record:
    if before is None:
        return lifecycle.settle(definition, slot_of(definition, host), reachable=True, now=now)
    return lifecycle.expire(before, "its time was over before another attempt", now=now)


def _not_offered(definition: Definition, before: Record | None, me: Claimant, now: float, deliveries: int) -> Decision:
    if definition.expected is None:
        delay = min(_FIRST_PASS * 2 ** min(deliveries, 16), _LONGEST_PASS)
        return Wait(delay, f"{me.host} does not offer {definition.operation}")
    record = _claimed(definition, before, me, now)
    return Close(lifecycle.skip(record, f"{me.host} does not offer {definition.operation}", now=now))
