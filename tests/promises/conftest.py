"""One place to make promises in: a broker in memory, or a namespace of its own on a real server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import trio

import osapi
from osapi_memory import Broker
from tests.library.operations import operations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport

# No lease and no registration runs out because the machine was held up for a while; a test that waits for that sets a
# shorter time.
SETTINGS = osapi.Settings(
    ack_wait=10.0,
    job_ttl=60.0,
    within=20.0,
    heartbeat=0.2,
    registry_ttl=10.0,
    drain=2.0,
    max_bytes=8 << 20,
    storage="memory",
)

# So long a test waits for what is to come, in seconds; machines are slow at times.
PATIENCE = 20.0


class World:
    """A broker, and whoever is connected to it."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[Transport]]) -> None:
        self.connect = connect
        self.settings = SETTINGS

    @asynccontextmanager
    async def agent(self, hostname: str = "a", **options: Any) -> AsyncGenerator[osapi.Agent]:
        """Run an agent on a connection of its own."""
        options = {"operations": operations, "settings": self.settings, **options}
        async with self.connect() as transport, osapi.Agent(transport, hostname=hostname, **options) as agent:
            yield agent

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[osapi.Client]:
        """Open a client on a connection of its own."""
        options = {"operations": operations, "settings": self.settings, **options}
        async with self.connect() as transport, osapi.Client(transport, **options) as client:
            yield client

    @asynccontextmanager
    async def sweeper(self) -> AsyncGenerator[osapi.Sweeper]:
        """Run a sweeper on a connection of its own."""
        async with self.connect() as transport, osapi.Sweeper(transport, settings=self.settings) as sweeper:
            yield sweeper


@pytest.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        async with Broker() as broker:
            yield World(broker.connect)
        return
    url = f"{request.getfixturevalue('nats_server')}/?namespace=promise-{uuid4().hex[:8]}"
    yield World(lambda: osapi.connect(url))
    async with osapi.connect(url) as transport:
        for name in SETTINGS.buckets:
            await transport.delete_bucket(name)
        for name in SETTINGS.streams:
            await transport.delete_stream(name)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    with trio.fail_after(PATIENCE):
        while not holds():
            await trio.sleep(0.01)
