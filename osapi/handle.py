"""What a caller holds of a job: its status now, its events as they come, its answers in the end."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from osapi.errors import JobFailedError, OsapiError, UntrustedAnswerError
from osapi.flow.output import read_output
from osapi.flow.parts import read_whole
from osapi.rules import gather
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import ANY_SLOT, SlotStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from osapi.flow.store import Store
    from osapi.operations import Operation
    from osapi.rules.output import Chunk
    from osapi.rules.records import Definition, Event, JobStatus, Record


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one host; `data` is None unless it completed, `seconds` the time of the last attempt."""

    host: str
    status: SlotStatus
    data: Any = None
    error: str = ""
    changed: bool = False
    attempts: int = 0
    seconds: float = 0.0

    def unwrap(self) -> Any:
        """Return the data.

        Raises:
            JobFailedError: the host did not complete the job.
            UntrustedAnswerError: the answer is not signed by that host.

        """
        if self.status is SlotStatus.UNTRUSTED:
            raise UntrustedAnswerError(f"{self.host or 'the job'}: {self.error}")
        if self.status is not SlotStatus.COMPLETED:
            raise JobFailedError(f"{self.host or 'the job'}: {self.status}: {self.error}")
        return self.data


_host = attrgetter("host")


class JobHandle:
    """A job that this client submitted. It stays current for as long as the client's block is open."""

    def __init__(self, definition: Definition, operation: Operation | None, store: Store) -> None:
        self.definition = definition
        self.records: dict[str, Record] = {}
        self.version = 0
        self._store = store
        self._operation = operation
        self._revisions: dict[str, int] = {}
        self._open = len(gather.slots(definition))
        self._ended: OsapiError | None = None
        self._done: trio.Event | None = None
        self._changed: trio.Event | None = None

    @property
    def id(self) -> str:
        """Return the job's id."""
        return self.definition.id

    @property
    def expected(self) -> tuple[str, ...] | None:
        """Return the hosts that the job was frozen for, None for one of N."""
        return self.definition.expected

    @property
    def done(self) -> bool:
        """Tell whether every slot has ended, or the job is gone."""
        return not self._open or self._ended is not None

    def status(self) -> JobStatus:
        """Return the job's status as far as this client has heard."""
        return gather.job_status(self.definition, self.records)

    def summary(self) -> str:
        """Return the status in a few words, as `retryable (2/5, next 14:03:10 UTC)`."""
        return gather.summary(self.definition, self.records)

    def timeline(self) -> list[Event]:
        """Return what is known to have happened, oldest first."""
        return gather.timeline(self.definition, self.records.values())

    async def result(self) -> dict[str, Response]:
        """Wait until every host has answered or is given up, and return the answers by host.

        Hosts that failed, were skipped or stayed silent are among them: look at their `status`, or `unwrap`.
        A job for one of N has one answer, under the host that gave it (`_any` if none did). The wait ends at
        the job's `finish_by` at the latest, or a little after. Cancelled, the job goes on.

        Raises:
            UnknownJobError: the job was deleted meanwhile.
            ClosedError: the client's block ended first.
            RecordError, DisconnectedError: a result that is stored in parts cannot be read.

        """
        await self.ended()
        if self._open and self._ended is not None:
            raise self._ended
        answers = [self._response(record) for record in (await self.load()).values()]
        answers.sort(key=_host)
        return {answer.host or ANY_SLOT: answer for answer in answers}

    async def ended(self) -> None:
        """Wait until the job is `done`, whichever way. Cancelled, the job goes on."""
        if self.done:
            await trio.lowlevel.checkpoint()
            return
        if self._done is None:
            self._done = trio.Event()
        await self._done.wait()

    async def load(self) -> dict[str, Record]:
        """Return the records that have come, by slot, with the results that are stored in parts.

        Raises:
            UnknownJobError: such a result is gone, and the job with it.
            RecordError, DisconnectedError

        """
        for slot, record in list(self.records.items()):
            if record.parts is not None:
                # Who ended is never written again.
                self.records[slot] = await read_whole(self._store, self.definition, record)
        return self.records

    def output(self, *, host: str | None = None, after: Mapping[str, int] | None = None) -> AsyncGenerator[Chunk]:
        """Follow what the job writes: all that is there, then what comes, until every slot (or that host's) has ended.

        The chunks of one slot come in order, those of different hosts as they come. `after` gives the slots' positions
        from which to go on: `{chunk.slot: chunk.position}` of the last chunk that was read of each.

        Raises:
            UnknownHostError, InvalidNameError: the host.
            UnknownJobError: the job was deleted, or has outlived its lifetime.
            ClosedError: the client's block ended first.
            RecordError, DisconnectedError

        """
        return read_output(self._store, self, host, after or {})

    async def events(self) -> AsyncIterator[Event]:
        """Follow the job: all that has happened so far, then what happens, until every slot has ended.

        Raises:
            UnknownJobError, ClosedError: as `result`.

        """
        told: set[Event] = set()
        while True:
            for event in self.timeline():
                if event not in told:
                    told.add(event)
                    yield event
            if self.done:
                break
            await self._change()
        if self._open and self._ended is not None:
            raise self._ended

    async def changed(self, version: int) -> None:
        """Wait until something is new since that `version`.

        Raises:
            UnknownJobError, ClosedError: nothing will be, as `result`.

        """
        if self._open and self._ended is not None:
            raise self._ended
        if self.version == version:
            await self._change()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def take(self, record: Record, revision: int) -> None:
        """Take in a record of one slot; one that is not newer than what is known changes nothing."""
        slot = record.slot
        if revision <= self._revisions.get(slot, 0):
            return
        self._revisions[slot] = revision
        if record.status in TERMINAL:
            before = self.records.get(slot)
            if before is None or before.status not in TERMINAL:
                self._open -= 1
        self.records[slot] = record
        self._tell()

    def end(self, error: OsapiError) -> None:
        """End the wait of everybody with an error, unless all answers are there."""
        if not self.done:
            self._ended = error
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        if self._done is not None and self.done:
            self._done.set()

    def _response(self, record: Record) -> Response:
        return Response(
            host=record.host,
            status=record.status,
            data=self._decoded(record.result) if record.status is SlotStatus.COMPLETED else None,
            error=record.error or "",
            changed=record.changed,
            attempts=record.attempt,
            seconds=max(0.0, record.updated - record.claimed) if record.attempt else 0.0,
        )

    def _decoded(self, raw: msgspec.Raw) -> Any:
        return msgspec.json.decode(raw) if self._operation is None else self._operation.decode_result(raw)
