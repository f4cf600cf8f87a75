"""The sweeper: sees to it that every job ends, also when its client and its agents are gone."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from osapi.block import Block
from osapi.flow.elect import serve
from osapi.flow.sealed import check_keys, keyed
from osapi.flow.store import open_store
from osapi.flow.stories import keep_stories
from osapi.flow.sweep import sweep
from osapi.nursery import background
from osapi.rules.keys import SWEEPER_KEY
from osapi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.flow.store import Store
    from osapi.signer import Signer
    from osapi.transport import Transport
    from osapi.trust import Trust

_log = logging.getLogger("osapi.sweeper")


class Sweeper(Block):
    """A sweeper for the length of its block; any number of processes may have one, and one of them acts.

    The one that acts gives a terminal record to every slot of a job whose time is over and that nobody will fill:
    jobs whose client is gone, and jobs of agents that never came back. Agents that hold a lease keep it. If the one
    that acts leaves its block, another takes over at once; if it dies, `settings.registry_ttl` later. It reads every
    definition once when it takes over and once when its time is over, and keeps an id and a moment for each job
    whose time is not over. It also keeps the story of each job that becomes a dead letter, so that it can be told and
    replayed when the job itself is gone. It takes a `signer` and `trust` as a client does.

    Raises:
        MismatchError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(
        self,
        transport: Transport,
        *,
        settings: Settings | None = None,
        signer: Signer | None = None,
        trust: Trust | None = None,
    ) -> None:
        check_keys(signer, trust)
        self._signer = signer
        self._trust = trust
        self._transport = transport
        self._settings = settings or Settings()
        self._acting = False

    @property
    def acting(self) -> bool:
        """Tell whether this is the one that acts."""
        return self._acting

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        async with keyed(self._transport, self._settings, self._signer, self._trust) as (transport, _):
            store = await open_store(transport, self._settings)
            async with background() as nursery:
                await nursery.start(serve, store, SWEEPER_KEY, partial(self._act, store))
                yield

    async def _act(self, store: Store) -> None:
        _log.info("this process sweeps from now on")
        self._acting = True
        try:
            async with background() as nursery:
                nursery.start_soon(keep_stories, store)
                await sweep(store)
        finally:
            self._acting = False
            _log.info("this process does not sweep any more")
