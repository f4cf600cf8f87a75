"""Collecting: one watch for all the jobs of a client, and an end for those whose time is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.errors import ClosedError, RecordError, TransportError, UnknownJobError
from osapi.flow.due import GRACE_SECONDS, Due
from osapi.flow.persist import insist
from osapi.flow.settle import settle
from osapi.rules import gather
from osapi.rules.codec import RECORD
from osapi.rules.keys import job_key, slots_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.flow.store import Store
    from osapi.handle import JobHandle
    from osapi.roster import Roster
    from osapi.transport import Entry, Watch

_log = logging.getLogger("osapi.client")


class Collector:
    """The open jobs of one client."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._roster = roster
        self._handles: dict[str, JobHandle] = {}
        self._due = Due(self._handles)
        self._closed = False

    def track(self, handle: JobHandle) -> None:
        """Begin to collect for a job; before it is submitted, so that no answer is missed.

        Raises:
            ClosedError: the client's block is over.

        """
        if self._closed:
            raise ClosedError(f"job {handle.id}: the client was closed")
        self._handles[handle.id] = handle
        self._due.set(handle.id, gather.first_due(handle.definition) - self._store.now())

    def forget(self, job_id: str, error: UnknownJobError | None = None) -> None:
        """Stop collecting for a job, and tell whoever waits for it why."""
        handle = self._handles.pop(job_id, None)
        if handle is not None and error is not None:
            handle.end(error)

    def close(self) -> None:
        """End every wait: the client's block is over."""
        self._closed = True
        for handle in self._handles.values():
            handle.end(ClosedError(f"job {handle.id}: the client was closed before all answers had come"))
        self._handles.clear()

    def known(self, job_id: str) -> JobHandle | None:
        """Return the handle of a job that is being collected for already."""
        return self._handles.get(job_id)

    async def follow_job(self, handle: JobHandle, *, task_status: trio.TaskStatus[None]) -> None:
        """Collect for a job of another client, or an earlier one; report once all that is stored has been read.

        Costs a watch of its own until the job has ended.

        Raises:
            DisconnectedError: before that.
            ClosedError: the transport has ended.

        """
        records = self._store.responses.watch(slots_pattern(handle.definition.origin, handle.id))
        async with records as watch, trio.open_nursery() as nursery:
            self.track(handle)
            while not watch.caught_up:
                self._apply_all(await watch.receive())
            task_status.started()
            nursery.start_soon(self.follow, watch)
            await handle.ended()
            nursery.cancel_scope.cancel()

    async def follow(self, watch: Watch) -> None:
        """Hand each record to its job, for as long as the task runs."""
        while True:
            self._apply_all(await watch.receive())

    def _apply_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        handle = self._handles.get(entry.key.split(".")[1])
        if handle is None or entry.change != "put":
            return
        try:
            handle.take(RECORD.decode(entry.value), entry.revision)
        except RecordError:
            _log.exception("an answer to job %s cannot be read", handle.id)
            return
        if handle.done:
            del self._handles[handle.id]

    async def settle_due(self) -> None:
        """Settle the jobs whose time is over, for as long as the task runs."""
        while True:
            for job_id in await self._due.take():
                if job_id in self._handles:
                    await self._settle(self._handles[job_id])

    async def _settle(self, handle: JobHandle) -> None:
        try:
            if await insist(lambda: self._store.jobs.get(job_key(handle.id)), self._store.settings.persist) is None:
                self.forget(handle.id, UnknownJobError(f"job {handle.id} was deleted, or has outlived its lifetime"))
                return
            wait = await settle(self._store, handle.definition, self._roster.agents)
        except RecordError:
            _log.exception("job %s cannot be settled", handle.id)
            return
        except TransportError as error:
            _log.warning("job %s cannot be settled yet: %s", handle.id, error)
            wait = GRACE_SECONDS
        if wait is not None:
            self._due.set(handle.id, wait)
