"""The scheduler: makes the jobs of schedules when they are due."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from osapi.block import Block
from osapi.client import Client
from osapi.flow.sealed import check_keys
from osapi.nursery import background

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.settings import Settings
    from osapi.signer import Signer
    from osapi.transport import Transport
    from osapi.trust import Trust


class Scheduler(Block):
    """A scheduler for the length of its block; any number of processes may have one, and they share the work.

    Nobody polls: the broker tells one of them when a schedule is due. Whichever of them dies, and between whichever
    two steps, each due time becomes exactly one job, or is told of as missed, skipped or refused in its schedule. When
    one enters its block it looks at every schedule once, for what was due while nobody was there.

    It takes a `signer` and `trust` as a client does; with trust it follows no schedule that no controller has signed.

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
        self._settings = settings

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        # The jobs are those of a client like any other: followed, and settled in time.
        one = Client(self._transport, settings=self._settings, signer=self._signer, trust=self._trust)
        async with one as client, background() as nursery:
            await nursery.start(client.schedules.serve)
            yield
