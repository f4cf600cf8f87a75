"""Keeping a timeline: the agent's own, written when something happened, and once more when it leaves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.errors import RecordError, TransportError
from osapi.rules.records import VERSION
from osapi.rules.timeline import REGISTERED, STOPPED, Moment, Standing, Timeline, continued, passed

if TYPE_CHECKING:
    from osapi.flow.state import States
    from osapi.flow.store import Store

_log = logging.getLogger("osapi.agent")

_LEAVE_SECONDS = 1.0


class TimelineKeeper:
    """The timeline of one agent, who alone writes it: whoever holds the hostname on the roster."""

    def __init__(self, store: Store, states: States, hostname: str) -> None:
        self._store = store
        self._states = states
        self._now = Timeline(v=VERSION, hostname=hostname)
        self._stored = self._now
        self._standing: Standing | None = None
        self._changed = trio.Event()

    async def open(self, standing: Standing) -> None:
        """Go on with what is stored.

        Raises:
            DisconnectedError

        """
        try:
            self._now = await self._states.timeline(self._now.hostname) or self._now
        except RecordError as error:
            _log.warning("the timeline of %s begins anew: %s", self._now.hostname, error)
        self._stored = self._now
        self._add(Moment(at=self._store.now(), event=REGISTERED))
        # Whatever was true before, a reader need not look further back than to when it came.
        self._standing = standing._replace(conditions=())
        self.note(standing)

    def note(self, standing: Standing) -> None:
        """Take note of how the agent stands now."""
        if self._standing is not None:
            self._add(*passed(self._standing, standing, self._store.now()))
        self._standing = standing

    async def keep(self) -> None:
        """Store what happens, for as long as the task runs; with the broker away, later."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            try:
                await self._store_it()
            except TransportError as error:
                _log.warning("the timeline of %s is stored later: %s", self._now.hostname, error)
                await trio.sleep(self._store.settings.heartbeat)
                self._changed.set()

    async def close(self) -> None:
        """Say that the agent left in order, within a second, whatever else is cancelled."""
        self._add(Moment(at=self._store.now(), event=STOPPED))
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _LEAVE_SECONDS):
            try:
                await self._store_it()
            except TransportError as error:
                _log.info("that %s stopped could not be stored: %s", self._now.hostname, error)

    def _add(self, *moments: Moment) -> None:
        if moments:
            self._now = continued(self._now, moments)
            self._changed.set()

    async def _store_it(self) -> None:
        told = self._now
        if told != self._stored:
            await self._states.keep_timeline(told)
            self._stored = told
