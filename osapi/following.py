"""Following one job for the length of a block, whoever submitted it."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi.errors import ClosedError, RecordError, TransportError, UnknownJobError
from osapi.flow.due import GRACE_SECONDS
from osapi.flow.persist import insist
from osapi.flow.settle import settle
from osapi.handle import JobHandle
from osapi.nursery import background
from osapi.rules.codec import RECORD
from osapi.rules.gather import first_due
from osapi.rules.keys import job_key, slots_pattern

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.flow.store import Store
    from osapi.operations import Operation
    from osapi.roster import Roster
    from osapi.rules.records import Definition
    from osapi.transport import Entry, Watch

_log = logging.getLogger("osapi.client")

# Nobody tells the watch of a job's records that the job was deleted: this often we look, in seconds.
_LOOK = 15.0


@asynccontextmanager
async def following(
    store: Store, roster: Roster, definition: Definition, operation: Operation | None
) -> AsyncGenerator[JobHandle]:
    """Keep a handle of a job current for the length of the block, by a watch of its own; settle the job when it is due.

    Raises:
        DisconnectedError, ClosedError: when the block is entered.

    """
    handle = JobHandle(definition, operation, store)
    async with store.responses.watch(slots_pattern(definition.origin, definition.id)) as watch:
        while not watch.caught_up:
            for entry in await watch.receive():
                _apply(handle, entry)
        async with background() as nursery:
            nursery.start_soon(_follow, handle, watch)
            nursery.start_soon(_attend, handle, store, roster)
            yield handle


def _apply(handle: JobHandle, entry: Entry) -> None:
    if entry.change != "put":
        return
    try:
        handle.take(RECORD.decode(entry.value), entry.revision)
    except RecordError:
        _log.exception("an answer to job %s cannot be read", handle.id)


async def _follow(handle: JobHandle, watch: Watch) -> None:
    while not handle.done:
        try:
            entries = await watch.receive()
        except ClosedError as error:
            handle.end(error)
            return
        for entry in entries:
            _apply(handle, entry)


async def _attend(handle: JobHandle, store: Store, roster: Roster) -> None:
    """Look after a job that is open: whether it is still there, and whether its time is over."""
    due = trio.current_time() + first_due(handle.definition) - store.now() + GRACE_SECONDS
    while not handle.done:
        await trio.sleep(min(_LOOK, max(GRACE_SECONDS, due - trio.current_time())))
        try:
            if await insist(partial(store.jobs.get, job_key(handle.id)), store.settings.persist) is None:
                handle.end(UnknownJobError(f"job {handle.id} was deleted, or has outlived its lifetime"))
            elif trio.current_time() >= due:
                wait = await settle(store, handle.definition, roster.agents)
                due = trio.current_time() + (wait or 0.0) + GRACE_SECONDS
        except RecordError:
            _log.exception("job %s cannot be settled", handle.id)
            return
        except TransportError as error:
            _log.warning("job %s cannot be looked after yet: %s", handle.id, error)
