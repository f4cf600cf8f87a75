"""What goes wrong for good is told in one clear error, and nothing is half done."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.settings import job_bucket, registry_bucket, stream_config
from osapi.transport import BucketConfig, StreamConfig
from osapi_nats.options import DRIVERS
from osapi_nats.server import Auth, Server, ServerSettings, User, run_server
from tests.library.operations import operations
from tests.nats.connections import info

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.transport import Transport

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

KIB = 1024


async def refuse(url: str, driver: str, error: type[osapi.TransportError], *told: str) -> None:
    """Expect a connection to be refused with an error that says so."""
    with pytest.raises(error) as found:
        async with osapi.connect(f"{url}/?driver={driver}&timeout=2"):
            pytest.fail("it was accepted")
    for part in told:
        assert part in str(found.value)


# --- Not even connected ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nats_binary")
async def test_wrong_credentials(driver: str) -> None:
    auth = Auth(type="user_pass", users=(User("ann", "right"),))
    async with run_server(ServerSettings(port=0, auth=auth)) as server:
        for who in ("ann:wrong@", ""):
            url = server.url.replace("//", f"//{who}")
            await refuse(url, driver, osapi.AccessRefusedError, str(server.port))
        async with osapi.connect(f"{server.url.replace('//', '//ann:right@')}/?driver={driver}"):
            pass


async def test_a_host_that_does_not_exist(driver: str) -> None:
    await refuse("nats://nowhere.invalid:4222", driver, osapi.DisconnectedError, "nowhere.invalid:4222")


@asynccontextmanager
async def old_server() -> AsyncGenerator[str]:
    """Listen in place of the server that Debian 12 has, as far as a connection goes."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(info(version="2.9.10"))
            async for said in stream:
                await stream.send_all(b"PONG\r\n" * said.count(b"PING"))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield f"nats://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_a_server_that_is_too_old(driver: str) -> None:
    async with old_server() as url:
        await refuse(url, driver, osapi.UnsupportedBrokerError, url.removeprefix("nats://"), "2.9.10")


@pytest.mark.usefixtures("nats_binary")
async def test_a_server_without_jetstream(driver: str) -> None:
    async with run_server(ServerSettings(port=0, options={"jetstream": False})) as server:
        await refuse(server.url, driver, osapi.UnsupportedBrokerError, "start the server with JetStream")


# --- Something else is there -----------------------------------------------------------------------------------


async def test_a_stream_with_other_settings(driver: str, private_server: Server) -> None:
    settings = osapi.Settings()
    mine = stream_config(settings)
    async with osapi.connect(f"{private_server.url}/?driver={driver}") as transport:
        await transport.stream(replace(mine, max_age=60.0, max_msgs=5))
        with pytest.raises(osapi.MismatchError) as found:
            async with osapi.Agent(transport, operations, hostname="a", settings=settings):
                pytest.fail("the agent took another's stream")
        assert "max_age is 60 s, not 3600 s" in str(found.value)
        assert "max_msgs is 5, not -1" in str(found.value)
        stream = await transport.stream(replace(mine, max_age=60.0, max_msgs=5))
        assert (await stream.info()).consumers == 0
        assert not await (await transport.bucket(registry_bucket(settings))).keys()


# --- Too much --------------------------------------------------------------------------------------------------


async def test_a_payload_over_the_servers_limit(driver: str, private_server: Server) -> None:
    async with osapi.connect(f"{private_server.url}/?driver={driver}") as transport:
        bucket = await transport.bucket(BucketConfig(name="large"))
        with pytest.raises(osapi.PayloadTooLargeError, match=f"at most {transport.max_payload} bytes"):
            await bucket.put("a", bytes(transport.max_payload + 1))
        stream = await transport.stream(StreamConfig(name="LARGE", subjects=("large.>",)))
        with pytest.raises(osapi.PayloadTooLargeError, match=f"at most {transport.max_payload} bytes"):
            # The message's id counts: it travels as a header.
            await stream.publish("large.x", bytes(transport.max_payload), msg_id="one")
        await bucket.put("a", bytes(transport.max_payload))
        assert (await stream.info()).messages == 0


async def test_a_bucket_that_is_full(driver: str, private_server: Server) -> None:
    settings = osapi.Settings(max_bytes=8 * KIB)
    async with (
        osapi.connect(f"{private_server.url}/?driver={driver}") as transport,
        osapi.Agent(transport, operations, hostname="a", settings=settings),
        osapi.Client(transport, operations, settings=settings) as client,
    ):
        with pytest.raises(osapi.LimitReachedError, match="bucket job-queue: maximum bytes exceeded"):
            for _ in range(20):
                await (await client.submit("test.length", "x" * KIB)).result()
        bucket = await transport.bucket(job_bucket(settings))
        stream = await transport.stream(stream_config(settings))
        jobs = await client.list(limit=100)
        assert len(jobs) == (await bucket.info()).keys == (await stream.info()).messages
        assert {str(job.status) for job in jobs} == {"completed"}


async def fill(transport: Transport) -> int:
    """Store until the server refuses, and return how many it took."""
    bucket = await transport.bucket(BucketConfig(name="unbounded", max_bytes=-1))
    stored = 0
    with pytest.raises(osapi.LimitReachedError, match="resource"):
        for stored in range(1000):
            await bucket.put(f"k{stored}", bytes(10 * KIB))
    assert len(await bucket.keys()) == stored
    return stored


@pytest.mark.usefixtures("nats_binary")
async def test_a_server_whose_store_is_full(driver: str) -> None:
    async with run_server(ServerSettings(port=0, max_file=1024 * KIB)) as server:
        async with osapi.connect(f"{server.url}/?driver={driver}") as transport:
            with pytest.raises(osapi.LimitReachedError, match="bucket job-queue: insufficient storage"):
                async with osapi.Client(transport, operations):
                    pytest.fail("there is no room for its buckets")
            assert await fill(transport) > 10
            assert await transport.delete_bucket("unbounded")
            assert await fill(transport) > 10
