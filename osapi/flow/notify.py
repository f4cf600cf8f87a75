"""Notifications: an empty message whose subject says whom a job is for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi import tracing
from osapi.errors import TransportError
from osapi.flow.groups import announce, is_announced
from osapi.flow.persist import insist
from osapi.rules.keys import job_subjects, notification_subject, schedule_subject, schedule_subjects
from osapi.rules.records import ANY_SLOT
from osapi.rules.targets import parse_target, routes
from osapi.transport import Outgoing

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition, Record
    from osapi.rules.targets import Route, Target


# Notifications of one job that are on their way at once.
_AT_ONCE = 256


async def notify(store: Store, definition: Definition, target: Target, *, agents: int = 0) -> None:
    """Tell the agents of a job, when it is due; told twice, they run it once.

    `agents` is how many there are: a selector that matches few of them tells each by itself. Cancelled, or failing,
    it has told some of them.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    if target.route == "any-label":
        await announce(store, target.address, due=definition.due or 0.0)
    ways = routes(target, definition.expected, agents, is_part=definition.rollout is not None)
    if len(ways) == 1:
        await _tell(store, definition, *ways[0], slot=ANY_SLOT)
    else:
        await _tell_each(store, definition, ways)


def notification(store: Store, definition: Definition, target: Target, *, agents: int = 0) -> Outgoing | None:
    """Return the one message that `notify` would publish, if it is one, due now, and nothing has to come before it."""
    if definition.due is not None or (target.route == "any-label" and not is_announced(store, target.address)):
        return None
    ways = routes(target, definition.expected, agents, is_part=definition.rollout is not None)
    return _message(store, definition, *ways[0]) if len(ways) == 1 else None


def _message(store: Store, definition: Definition, route: Route, address: str) -> Outgoing:
    # A job that is submitted again and again under one key is announced once. For others the broker need not remember:
    # a second notification, after a receipt that was lost, finds the job claimed.
    msg_id = None if definition.key is None else f"{definition.id}.{address}"
    subject = notification_subject(definition.kind, route, address, definition.id)
    return Outgoing(subject, b"", tracing.headers(), msg_id, store.ttl(definition))


async def _tell(store: Store, definition: Definition, route: Route, address: str, *, slot: str) -> None:
    message = _message(store, definition, route, address)
    if definition.due is not None and definition.due > store.now():
        await _schedule(store, definition, slot, message.subject, definition.due)
        return
    publish = partial(
        store.stream.publish,
        message.subject,
        message.payload,
        headers=message.headers,
        msg_id=message.msg_id,
        ttl=message.ttl,
    )
    await insist(publish, store.settings.persist)


async def _tell_each(store: Store, definition: Definition, ways: list[tuple[Route, str]]) -> None:
    left = iter(ways)
    failed: list[TransportError] = []

    async def tell_on() -> None:
        try:
            for route, address in left:
                await _tell(store, definition, route, address, slot=address)
        except TransportError as error:
            failed.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(_AT_ONCE, len(ways))):
            nursery.start_soon(tell_on)
    if failed:
        raise failed[0]


async def notify_later(store: Store, definition: Definition, record: Record, at: float) -> None:
    """Tell the agents again at `at`, for another attempt of one slot.

    Until then the broker keeps it as a scheduled message, which holds no place among those unanswered.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    await _schedule(store, definition, record.slot, _slot_subject(definition, record.slot), at)


async def _schedule(store: Store, definition: Definition, slot: str, subject: str, at: float) -> None:
    schedule = partial(
        store.stream.schedule,
        schedule_subject(definition.id, slot),
        b"",
        target=subject,
        at=at,
        headers=tracing.headers(),
        ttl=store.ttl(definition, at),
    )
    await insist(schedule, store.settings.persist)


def _slot_subject(definition: Definition, slot: str) -> str:
    if slot == ANY_SLOT:
        ((route, address),) = routes(parse_target(definition.target), None, 0)
        return notification_subject(definition.kind, route, address, definition.id)
    return notification_subject(definition.kind, "host", slot, definition.id)


async def withdraw(store: Store, job_id: str) -> None:
    """Remove the notifications of a job, those that are scheduled included.

    Raises:
        DisconnectedError, UncertainError

    """
    for subject in (job_subjects(job_id), schedule_subjects(job_id)):
        await insist(partial(store.stream.purge, subject), store.settings.persist)
