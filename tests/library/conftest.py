"""A broker, and small programs around it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi_memory import Broker
from tests.library.operations import operations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from osapi.transport import Transport

SETTINGS = osapi.Settings(ack_wait=10.0)


class World:
    """A broker and whoever is connected to it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.settings = SETTINGS

    @asynccontextmanager
    async def agent(self, hostname: str = "web-01", group: str = "", **options: Any) -> AsyncGenerator[osapi.Agent]:
        """Run an agent on a connection of its own."""
        labels = {"group": group} if group else {}
        options = {"operations": operations, "settings": self.settings, "labels": labels, **options}
        async with self.broker.connect() as transport, osapi.Agent(transport, hostname=hostname, **options) as agent:
            yield agent

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[osapi.Client]:
        """Open a client on a connection of its own."""
        options = {"operations": operations, "settings": self.settings, **options}
        async with self.broker.connect() as transport, osapi.Client(transport, **options) as client:
            yield client

    @asynccontextmanager
    async def mortal(self, hostname: str, **options: Any) -> AsyncGenerator[Mortal]:
        """Run an agent that can be killed: from then on nothing it does reaches the broker. `faults` are its wire's."""
        mortal = Mortal(trio.CancelScope())
        async with trio.open_nursery() as nursery:
            await nursery.start(self._live, mortal, hostname, options)
            yield mortal
            mortal.scope.cancel()

    async def _live(
        self, mortal: Mortal, hostname: str, options: dict[str, Any], *, task_status: trio.TaskStatus[None]
    ) -> None:
        options = {"operations": operations, "settings": self.settings, **options}
        faults = options.pop("faults", None)
        with mortal.scope:
            async with self.broker.connect(faults=faults) as transport:
                mortal.transport = transport
                async with osapi.Agent(transport, hostname=hostname, **options) as agent:
                    mortal.agent = agent
                    task_status.started()
                    await trio.sleep_forever()


class Mortal:
    """An agent and its life line."""

    agent: osapi.Agent
    transport: Any

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope

    def kill(self) -> None:
        """Cut it off, as kill -9 does."""
        self.transport.crash()
        self.scope.cancel()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with Broker() as broker:
        yield World(broker)


@pytest.fixture
async def transport(world: World) -> AsyncIterator[Transport]:
    async with world.broker.connect() as transport:
        yield transport
