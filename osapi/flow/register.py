"""Registration: an agent's entry on the roster, kept alive by heartbeats."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import (
    ConflictError,
    DisconnectedError,
    HostnameTakenError,
    LimitReachedError,
    TransportError,
    UncertainError,
)
from osapi.flow.persist import insist, write
from osapi.rules.codec import REGISTRATION
from osapi.rules.keys import agent_key

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import AgentState, Registration
    from osapi.rules.vitals import Vitals
    from osapi.transport import Entry

_log = logging.getLogger("osapi.agent")

# Two heartbeats would be certain; one and a half tell the living from the dead a little sooner.
_PATIENCE_BEATS = 1.5

_LEAVE_SECONDS = 1.0


class Membership:
    """One agent's entry on the roster; `told` is the moment of the last heartbeat that was stored."""

    def __init__(self, store: Store, registration: Registration) -> None:
        self._store = store
        self._now = registration
        self._key = agent_key(registration.hostname)
        self._revision = 0
        self.lost = False
        self.told = registration.heartbeat
        self._writing = trio.Lock()

    async def join(self) -> None:
        """Enter the roster.

        An entry that is there already belongs to an agent that lives, or to one that was killed: whichever, it
        is watched for one and a half heartbeats. If it moves, the hostname is taken; if not, it is replaced.

        Raises:
            HostnameTakenError: another agent answers to the hostname.
            DisconnectedError, UncertainError: the broker stayed away.

        """
        before = await self._look()
        if before is not None:
            await trio.sleep(self._store.settings.heartbeat * _PATIENCE_BEATS)
            after = await self._look()
            if after is not None and after.revision != before.revision:
                raise self._taken()
            self._revision = 0 if after is None else after.revision
        try:
            await self._write()
        except ConflictError:
            raise self._taken() from None

    async def beat(self, active: int, state: AgentState, vitals: Vitals | None = None) -> None:
        """Write a heartbeat; without vitals those that were told last stay.

        Raises:
            HostnameTakenError: another agent replaced the entry.

        """
        async with self._writing:
            self._now = replace(self._now, heartbeat=self._store.now(), active=active, state=state)
            if vitals is not None:
                self._now = replace(self._now, vitals=vitals)
            try:
                await self._renew()
            except (DisconnectedError, UncertainError, LimitReachedError) as error:
                _log.warning("the heartbeat of %s did not get through: %s", self._now.hostname, error)

    async def _renew(self) -> None:
        try:
            await self._write()
        except ConflictError as error:
            if await self._look() is not None:
                raise self._taken() from error
            # It had expired: the broker was out of reach for longer than an entry lives.
            self._revision = 0
            await self._write()

    async def leave(self) -> None:
        """Leave the roster, within a second, whatever else is cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _LEAVE_SECONDS):
            try:
                await self._store.registry.delete(self._key, revision=self._revision)
            except TransportError as error:
                _log.info("%s could not leave the roster, its entry will expire: %s", self._now.hostname, error)

    async def _look(self) -> Entry | None:
        return await insist(partial(self._store.registry.get, self._key), self._store.settings.persist)

    async def _write(self) -> None:
        self._revision = await write(
            self._store.registry,
            self._key,
            REGISTRATION.encode(self._now),
            self._revision,
            ttl=None,
            patience=self._store.settings.persist,
        )
        self.told = self._now.heartbeat

    def _taken(self) -> HostnameTakenError:
        self.lost = True
        return HostnameTakenError(
            f"hostname {self._now.hostname!r}: another agent answers to it; give this one a hostname of its own"
        )
