"""Waiting: jobs for an agent that is known and away, and how it hears of them when it comes back.

Its consumer may be gone by then, and a new one delivers only what is new. So the client leaves a note beside the
definition, before it announces the job, and the agent looks for notes once its consumer is there: whichever comes
first, one of the two is in time.
"""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from osapi.errors import InvalidSubjectError, TransportError
from osapi.flow.persist import insist
from osapi.rules.keys import notification_subject, waiting_key, waiting_pattern
from osapi.rules.seals import without_seal

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition

_log = logging.getLogger("osapi.agent")


async def leave_note(store: Store, definition: Definition, hostname: str) -> None:
    """Note that a job waits for an agent which is away.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    subject = notification_subject(definition.kind, "host", hostname, definition.id)
    key, ttl = waiting_key(hostname, definition.id), store.ttl(definition)
    await insist(partial(store.jobs.put, key, subject.encode(), ttl=ttl), store.settings.persist)


async def call_waiting(store: Store, hostname: str) -> None:
    """Announce the jobs that have been waiting for an agent, and remove their notes.

    Announced twice, a job is run once: it is claimed.
    """
    try:
        for key in sorted(await insist(partial(store.jobs.keys, waiting_pattern(hostname)), inf)):
            note = await insist(partial(store.jobs.get, key), inf)
            if note is not None:
                await _call(store, key, without_seal(note.value))
    except TransportError as error:
        _log.warning("jobs that wait for %s cannot be announced: %s", hostname, error)


async def _call(store: Store, key: str, subject: bytes) -> None:
    try:
        await insist(partial(store.stream.publish, subject.decode(), b""), inf)
    except (InvalidSubjectError, UnicodeDecodeError) as error:
        _log.warning("%s is no note of a job that waits: %s", key, error)
    await insist(partial(store.jobs.purge, key, ttl=1), inf)
