"""Blocks end, with everything that they started, whatever has become of the server."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from trio.lowlevel import checkpoint, current_task

import osapi
from osapi_nats.options import DRIVERS
from tests.library.operations import Sleep, operations
from tests.nats.connections import PATIENCE, freeze, impostor, no_thread_is_left, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi_nats.server import Server

SETTINGS = osapi.Settings(ack_wait=2.0, drain=0.5, persist=0.5)

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


@asynccontextmanager
async def nothing_outlives() -> AsyncGenerator[None]:
    """Hold a block to leaving neither a task nor a thread, and to ending in a bounded time."""
    nurseries = current_task().child_nurseries[:]
    with trio.fail_after(PATIENCE):
        yield
    assert current_task().child_nurseries == nurseries
    assert no_thread_is_left()


@asynccontextmanager
async def at_work(url: str) -> AsyncGenerator[None]:
    """Have an agent run a job, and a client wait for it, on one connection."""
    async with (
        osapi.connect(url) as transport,
        osapi.Agent(transport, operations, hostname="a", settings=SETTINGS),
        osapi.Client(transport, operations, settings=SETTINGS) as client,
    ):
        handle = await client.submit("test.sleep", Sleep(60.0), target="a")
        await until(lambda: handle.records)
        yield


async def test_with_the_server_there(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), at_work(f"{private_server.url}/?driver={driver}"):
        pass


async def test_with_the_server_gone(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), at_work(f"{private_server.url}/?driver={driver}"):
        await private_server.kill()


async def test_with_the_server_gone_for_a_while(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), at_work(f"{private_server.url}/?driver={driver}"):
        await private_server.kill()
        await trio.sleep(0.5)


async def test_with_the_server_hanging(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), at_work(f"{private_server.url}/?driver={driver}&timeout=1"):
        freeze(private_server)


async def test_with_the_server_dying_meanwhile(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), trio.open_nursery() as nursery:
        async with at_work(f"{private_server.url}/?driver={driver}"):
            nursery.start_soon(private_server.kill)
            await checkpoint()


async def test_with_the_server_back(driver: str, private_server: Server) -> None:
    async with nothing_outlives(), at_work(f"{private_server.url}/?driver={driver}"):
        await private_server.kill()
        await private_server.start()


async def test_when_the_block_is_cancelled_in_an_outage(driver: str, private_server: Server) -> None:
    async with nothing_outlives():
        with trio.CancelScope() as scope:
            async with at_work(f"{private_server.url}/?driver={driver}"):
                await private_server.kill()
                scope.cancel()
        assert scope.cancelled_caught


async def test_when_the_server_never_comes_up(driver: str, private_server: Server) -> None:
    await private_server.kill()
    async with nothing_outlives():
        with pytest.raises(osapi.DisconnectedError, match=f"127.0.0.1:{private_server.port}"):
            async with osapi.connect(f"{private_server.url}/?driver={driver}&timeout=1"):
                pytest.fail("there is no server")


async def test_when_the_server_hangs_from_the_beginning(driver: str, private_server: Server) -> None:
    freeze(private_server)
    async with nothing_outlives():
        with pytest.raises(osapi.DisconnectedError, match=f"127.0.0.1:{private_server.port}"):
            async with osapi.connect(f"{private_server.url}/?driver={driver}&timeout=1"):
                pytest.fail("the server says nothing")
    os.kill(private_server.pid, signal.SIGCONT)


async def test_when_something_else_listens_there(driver: str) -> None:
    async with impostor(b"SSH-2.0-OpenSSH_9.2\r\n") as options, nothing_outlives():
        with pytest.raises(osapi.DisconnectedError, match=options.servers[0]):
            async with osapi.connect(f"nats://{options.servers[0]}/?driver={driver}&timeout=1"):
                pytest.fail("it is no server")
