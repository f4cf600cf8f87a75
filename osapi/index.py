"""The index of jobs: how many there are of each status, and pages of them, without reading them all."""

from __future__ import annotations

import logging
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import trio

from osapi.detail import read_details
from osapi.errors import ClosedError, InvalidKeyError, InvalidSettingError, RecordError, TransportError
from osapi.flow.persist import insist
from osapi.rules.changes import JobChange
from osapi.rules.codec import JOB_OUTLINE, RECORD_OUTLINE
from osapi.rules.job_index import JobTable, Wanted
from osapi.rules.keys import DEFINITIONS, RECORDS, job_key, parse_job_key, parse_response_key
from osapi.rules.records import JobStatus
from osapi.settings import job_bucket, response_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.detail import JobDetail
    from osapi.flow.store import Store
    from osapi.rules.job_index import JobRow
    from osapi.transport import Entry, Watch

_log = logging.getLogger("osapi.index")

MAX_LIMIT = 10_000

# So many entries are taken in before others may run: about 2 ms of work.
_AT_ONCE = 200

# What has outlived its lifetime is dropped when somebody asks, and this often, in seconds.
_TIDYING = 5.0

# After its watches ended by themselves, the index is read anew after so many seconds.
_PAUSE = 1.0


class Question(TypedDict, total=False):
    """What `JobIndex.find` can be asked."""

    status: JobStatus | str | None
    operation: str | None
    target: str | None
    since: float | None
    until: float | None
    limit: int
    offset: int


class Found(NamedTuple):
    """How many jobs match, and one page of them, newest first."""

    total: int
    rows: Sequence[JobRow]


class Listed(NamedTuple):
    """How many jobs match, and one page of them as they are stored now, newest first."""

    total: int
    jobs: Sequence[JobDetail]


class JobIndex:
    """All jobs that are kept, whoever submitted them, as two watches tell; `Client.index` returns it.

    It is behind the broker by as long as an entry takes to arrive. While the broker is away it says what it knew last.
    Each question costs the same however many jobs there are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = JobTable(store.settings.job_ttl)
        self._inlets: Sequence[_Inlet] = ()
        self._loaded = trio.Event()
        self.on_change: Callable[[JobChange], None] | None = None

    async def loaded(self) -> None:
        """Wait until all jobs that were there when it was opened have been read."""
        while not self._loaded.is_set():
            await self._loaded.wait()
        await trio.lowlevel.checkpoint()

    def counts(self) -> dict[JobStatus, int]:
        """Return how many jobs there are of each status."""
        self._refresh()
        return self._table.counts()

    def find(
        self,
        *,
        status: JobStatus | str | None = None,
        operation: str | None = None,
        target: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> Found:
        """Return the jobs that match, newest first; created from `since` on and before `until`, in Unix seconds.

        Raises:
            InvalidSettingError: a limit, an offset or a status that there is not.

        """
        check_page(limit, offset)
        self._refresh()
        wanted = Wanted(check_status(status), operation, target, since, until)
        return Found(*self._table.page(wanted, offset, limit))

    async def list(self, **wanted: Unpack[Question]) -> Listed:
        """Do what `find` does, and read those jobs as they are stored now.

        One that was removed just before is missing; one whose status changed just before has its new one.

        Raises:
            InvalidSettingError: as `find`.
            RecordError, DisconnectedError

        """
        total, rows = self.find(**wanted)
        keys = [job_key(row.id) for row in rows]
        return Listed(total, await read_details(self._store, keys, trusted_only=True))

    @property
    def size(self) -> int:
        """Return how many jobs take up memory, those included that were removed a short time ago."""
        return self._table.size

    def row(self, job_id: str) -> JobRow | None:
        """Return what the index knows of one job, None if there is none."""
        self._refresh()
        return self._table.row(job_id)

    @property
    def revisions(self) -> tuple[int, int]:
        """Return up to which revision of the definitions, and of the records, all has been taken in."""
        return (self._inlets[0].seen, self._inlets[1].seen) if self._inlets else (0, 0)

    def newer(self, jobs: int, records: int) -> Sequence[JobChange]:
        """Return the jobs whose status came after these revisions; all, if the bucket was made anew since."""
        self._refresh()
        now_jobs, now_records = self.revisions
        rows = self._table.newer(jobs if jobs <= now_jobs else 0, records if records <= now_records else 0)
        return [_change(row) for row in rows]

    async def run(self) -> None:
        """Read all jobs and keep up with them, for as long as the task runs; after a watch was lost, read them anew."""
        while True:
            try:
                await self._follow()
            except TransportError as error:
                _log.warning("the jobs cannot be read into their index yet: %s", error)
            if self._loaded.is_set():
                self._loaded = trio.Event()
            await trio.sleep(_PAUSE)

    async def _follow(self) -> None:
        settings, transport = self._store.settings, self._store.transport
        jobs = await insist(partial(transport.bucket, job_bucket(settings)), settings.persist)
        responses = await insist(partial(transport.bucket, response_bucket(settings)), settings.persist)
        table = JobTable(settings.job_ttl)
        async with (
            jobs.watch(DEFINITIONS) as definitions,
            responses.watch(RECORDS) as records,
            trio.open_nursery() as nursery,
        ):
            inlets = (
                _Inlet(definitions, partial(self._take_job, table)),
                _Inlet(records, partial(self._take_record, table)),
            )
            for inlet in inlets:
                nursery.start_soon(inlet.follow, nursery.cancel_scope)
            for inlet in inlets:
                await inlet.loaded.wait()
            before = self.revisions if self._inlets else None
            self._table, self._inlets = table, inlets
            self._loaded.set()
            for change in self.newer(*before) if before else ():
                self._tell(change)
            while True:
                await trio.sleep(_TIDYING)
                while table.advance(self._store.now(), _AT_ONCE) == _AT_ONCE:
                    await trio.lowlevel.checkpoint()

    def _refresh(self) -> None:
        """Take in what has arrived and not been read yet, and drop what has outlived its lifetime."""
        for inlet in self._inlets:
            inlet.drain()
        self._table.advance(self._store.now(), sys.maxsize)

    def _take_job(self, table: JobTable, entry: Entry) -> None:
        job_id = parse_job_key(entry.key)
        outline = JOB_OUTLINE.decode(entry.value) if entry.change == "put" else None
        if table.take_job(job_id, outline, entry.revision, entry.created, self._store.now()):
            self._note(table, job_id)

    def _take_record(self, table: JobTable, entry: Entry) -> None:
        origin, job_id, slot = parse_response_key(entry.key)
        outline = RECORD_OUTLINE.decode(entry.value) if entry.change == "put" else None
        if table.take_record(job_id, origin, slot, outline, entry.revision, entry.created):
            self._note(table, job_id)

    def _note(self, table: JobTable, job_id: str) -> None:
        # What is read at first, or anew, is no news.
        if table is self._table and self.on_change is not None and (row := table.row(job_id)) is not None:
            self._tell(_change(row))

    def _tell(self, change: JobChange) -> None:
        if self.on_change is not None:
            self.on_change(change)


def _change(row: JobRow) -> JobChange:
    return JobChange(job_id=row.id, status=row.status, operation=row.operation, target=row.target, at=row.updated)


class _Inlet:
    """What has come from a watch, taken in by portions, so that a hundred thousand entries do not hold up the rest."""

    def __init__(self, watch: Watch, take: Callable[[Entry], None]) -> None:
        self.loaded = trio.Event()
        self.seen = 0  # the newest revision that was taken in
        self._watch = watch
        self._take = take
        self._waiting: deque[Entry] = deque()

    async def follow(self, scope: trio.CancelScope) -> None:
        """Take in what comes for as long as the task runs; the end of the watch cancels a scope."""
        while True:
            while self._waiting:
                self._some(_AT_ONCE)
                await trio.lowlevel.checkpoint()
            if self._watch.caught_up:
                self.loaded.set()
            try:
                self._waiting.extend(await self._watch.receive())
            except ClosedError as error:
                _log.warning("the index of jobs has lost a watch, and is read anew: %s", error)
                scope.cancel()
                return

    def drain(self) -> None:
        """Take in all that has come."""
        with suppress(ClosedError):
            self._waiting.extend(self._watch.receive_nowait())
        self._some(len(self._waiting))

    def _some(self, most: int) -> None:
        for _ in range(min(most, len(self._waiting))):
            entry = self._waiting.popleft()
            self.seen = max(self.seen, entry.revision)
            try:
                self._take(entry)
            except (RecordError, InvalidKeyError) as error:
                _log.warning("an entry is not in the index of jobs: %s", error)


def check_page(limit: int, offset: int = 0) -> None:
    """Refuse a page that there is not.

    Raises:
        InvalidSettingError

    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidSettingError(limit, "is out of range for limit", f"use 1 to {MAX_LIMIT}")
    if offset < 0:
        raise InvalidSettingError(offset, "is out of range for offset", "use 0 or more")


def check_status(status: JobStatus | str | None) -> JobStatus | None:
    """Return a status that there is, None for none.

    Raises:
        InvalidSettingError

    """
    if status is None:
        return None
    try:
        return JobStatus(status)
    except ValueError:
        raise InvalidSettingError(status, "is no status of a job", f"use {', '.join(JobStatus)}") from None
