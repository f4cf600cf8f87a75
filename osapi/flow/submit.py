"""Submitting: the definition first, then the notification."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from osapi.errors import TransportError
from osapi.flow.notify import notify
from osapi.flow.persist import write
from osapi.rules.codec import DEFINITION
from osapi.rules.keys import job_key

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition
    from osapi.rules.targets import Target

# How long an interrupted submission may take to remove what it wrote.
_UNDO_SECONDS = 1.0


async def submit(store: Store, definition: Definition, target: Target, *, agents: int = 0) -> None:
    """Write a job and announce it; `agents` is how many there are.

    If it cannot be announced, or is cancelled before it was, the definition is removed again, so that nobody
    runs a job whose submission failed.

    Raises:
        PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

    """
    key = job_key(definition.id)
    await write(
        store.jobs,
        key,
        DEFINITION.encode(definition),
        0,
        ttl=store.ttl(definition),
        patience=store.settings.persist,
    )
    try:
        await notify(store, definition, target, agents=agents)
    except BaseException:
        # If the broker is away, nobody hears of the job, or it runs and ends by its deadline.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _UNDO_SECONDS), suppress(TransportError):
            await store.jobs.purge(key)
        raise
