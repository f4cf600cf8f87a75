"""Notifications: an empty message whose subject says whom a job is for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from osapi.flow.persist import insist
from osapi.rules.keys import job_subjects, notification_subject, schedule_subject, schedule_subjects
from osapi.rules.records import ANY_SLOT
from osapi.rules.targets import parse_target

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition, Record
    from osapi.rules.targets import Target


async def notify(store: Store, definition: Definition, target: Target) -> None:
    """Tell the agents of a job; told twice, they hear it once.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    subject = notification_subject(definition.kind, target.route, target.address, definition.id)
    publish = partial(store.stream.publish, subject, b"", msg_id=definition.id, ttl=store.ttl(definition))
    await insist(publish, store.settings.persist)


async def notify_later(store: Store, definition: Definition, record: Record, at: float) -> None:
    """Tell the agents again at `at`, for another attempt of one slot.

    Until then the broker keeps it as a scheduled message, which holds no place among those unanswered.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    schedule = partial(
        store.stream.schedule,
        schedule_subject(definition.id, record.slot),
        b"",
        target=_slot_subject(definition, record.slot),
        at=at,
        ttl=store.ttl(definition),
    )
    await insist(schedule, store.settings.persist)


def _slot_subject(definition: Definition, slot: str) -> str:
    if slot == ANY_SLOT:
        target = parse_target(definition.target)
        return notification_subject(definition.kind, target.route, target.address, definition.id)
    return notification_subject(definition.kind, "host", slot, definition.id)


async def withdraw(store: Store, job_id: str) -> None:
    """Remove the notifications of a job, those that are scheduled included.

    Raises:
        DisconnectedError, UncertainError

    """
    for subject in (job_subjects(job_id), schedule_subjects(job_id)):
        await insist(partial(store.stream.purge, subject), store.settings.persist)
