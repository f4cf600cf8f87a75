"""Firing: look at a schedule, decide what becomes of its due times, submit what is pending.

Each step is a write by compare-and-set, and each can be repeated by anybody: decide (the due time is pending), submit
(under the idempotency key that was decided on), note the job. A scheduler that dies between two of them leaves its tick
unanswered, and whoever gets that next goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.detail import read_details
from osapi.errors import (
    ConflictError,
    InvalidInputError,
    KeyReusedError,
    NotFoundError,
    RecordError,
    TransportError,
)
from osapi.flow.due import GRACE_SECONDS
from osapi.flow.persist import insist
from osapi.flow.submit import forbid
from osapi.flow.zones import load_zone
from osapi.rules.codec import SCHEDULE
from osapi.rules.keys import job_key
from osapi.rules.records import JobStatus
from osapi.rules.requests import Request
from osapi.rules.schedules import carried_out, decide, forsaken

if TYPE_CHECKING:
    from osapi.flow.ticks import Ticks
    from osapi.rules.schedule_records import Pending, Schedule
    from osapi.submitter import Submitter
    from osapi.transport import Entry

_log = logging.getLogger("osapi.scheduler")

# What cannot be done now is tried again after so many seconds; what cannot be read here, others may read meanwhile.
_PAUSE = 5.0
_UNREADABLE = 60.0
# Somebody else who is about to submit a job is given so long.
_OTHERS = 1.0
# Clocks may differ by so much; a tick that comes earlier than that was not of this due time.
_EARLY = 5.0
# For this part of their lifetime jobs, and the keys that they were submitted under, can be relied on to be there.
_KEPT = 0.9

_OPEN = (JobStatus.SUBMITTED, JobStatus.PROCESSING, JobStatus.RETRYABLE)


class Firing:
    """One scheduler's way of looking at schedules."""

    def __init__(self, ticks: Ticks, submitter: Submitter) -> None:
        self._ticks = ticks
        self._store = ticks.store
        self._submitter = submitter

    async def look(self, name: str) -> float | None:
        """Do what is due of a schedule; return None when that is nothing, else in how many seconds to look again.

        Cancelled, or failing, it has done some of it, and whoever looks next goes on.

        Raises:
            RecordError, InvalidSettingError: what is stored, or its time zone, cannot be read here.
            LimitReachedError, DisconnectedError, UncertainError

        """
        while True:
            entry = await self._ticks.entry(name)
            if entry is None:
                return None
            schedule = SCHEDULE.decode(entry.value)
            try:
                wait = await self._step(entry, schedule)
            except ConflictError:
                continue
            if wait != 0.0:
                return wait

    async def _step(self, entry: Entry, schedule: Schedule) -> float | None:
        """Take one step; return 0.0 when there may be another, else as `look`."""
        now = self._store.now()
        if schedule.pending is not None:
            return await self._carry_out(entry, schedule, schedule.pending, now)
        if schedule.next is None:
            return None
        if schedule.next > now:
            return await self._wait(entry, schedule, schedule.next - now)
        zone = load_zone(schedule.timing.time_zone)
        running = await self._running(schedule)
        await self._ticks.write(entry, schedule, decide(schedule, zone, now, running))
        return 0.0

    async def _wait(self, entry: Entry, schedule: Schedule, left: float) -> float | None:
        """See to it that there is a tick for a due time that is to come."""
        if await self._ticks.is_armed(schedule):
            return None
        if left <= _EARLY:
            return left
        _log.warning("the tick of schedule %s was lost, and is made anew", schedule.name)
        await self._ticks.write(entry, schedule, schedule, arm=True)
        return None

    async def _running(self, schedule: Schedule) -> str:
        """Return the id of the newest job of a schedule if it has not ended."""
        if not schedule.job or schedule.overlap == "allow":
            return ""
        for job in await read_details(self._store, [job_key(schedule.job)]):
            # Of a job whose time is over nothing is left but that somebody says so.
            if job.status in _OPEN and self._store.now() < job.definition.finish_by + GRACE_SECONDS:
                return schedule.job
        return ""

    async def _carry_out(self, entry: Entry, schedule: Schedule, pending: Pending, now: float) -> float | None:
        if now > pending.at + _KEPT * self._store.settings.job_ttl:
            await self._ticks.write(entry, schedule, forsaken(schedule, pending, now))
            return 0.0
        work = schedule.work
        request = Request(
            operation=work.operation,
            kind=work.kind,
            data=work.data,
            target=work.target,
            within=work.within,
            start_within=work.start_within,
            timeout=work.timeout,
            policy=work.policy,
            key=pending.key,
        )
        reason = ""
        try:
            job = (await self._submitter.submit(request)).id
        except (KeyReusedError, NotFoundError, InvalidInputError) as error:
            # Others may have submitted it before it could not be any more, or be about to.
            reason = str(error)
            standing = await forbid(self._store, pending.key)
            if standing is None:
                return _OTHERS
            job = standing
        if reason and not job:
            _log.warning("schedule %s could not submit a job: %s", schedule.name, reason)
        done = carried_out(schedule, pending, self._store.now(), job=job, reason="" if job else reason)
        await self._ticks.write(entry, schedule, done)
        return 0.0


async def look_at_all(ticks: Ticks, firing: Firing) -> None:
    """Look at every schedule once: ticks may have come and gone while nobody was there, or been lost."""
    names = await insist(ticks.names, float("inf"))
    while names:
        waits = {name: await look_or_pause(firing, name) for name in names}
        names = [name for name, wait in waits.items() if wait is not None]
        await trio.sleep(min((wait for wait in waits.values() if wait is not None), default=0.0))


async def look_or_pause(firing: Firing, name: str) -> float | None:
    """Look at a schedule; what keeps from it is told to the log, and the seconds until another try are returned."""
    try:
        return await firing.look(name)
    except (RecordError, InvalidInputError) as error:
        _log.warning("schedule %s cannot be followed here: %s", name, error)
        return _UNREADABLE
    except TransportError as error:
        _log.warning("schedule %s cannot be looked at yet: %s", name, error)
        return _PAUSE
