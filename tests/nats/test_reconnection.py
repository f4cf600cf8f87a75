"""What watches, pulls and writes make of a server that is killed, or hangs, and comes back."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig
from osapi_nats.options import DRIVERS
from tests.nats.connections import PATIENCE, freeze, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Entry, Stream, Transport, Watch
    from osapi_nats.server import Server

BUCKET = BucketConfig(name="kept", history=64)
STREAM = StreamConfig(name="WORK", subjects=("work.>",))
CONSUMER = ConsumerConfig(name="worker", filters=("work.>",), ack_wait=60.0)

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


async def insist(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call until it gets through."""
    with trio.fail_after(PATIENCE):
        while True:
            try:
                await call()
            except (osapi.DisconnectedError, osapi.UncertainError):
                await trio.sleep(0.01)
            else:
                return


async def hang(server: Server) -> None:
    """Stop the process, and wait until all of it has stopped: on a busy machine it answers for a while."""
    freeze(server)
    threads = Path(f"/proc/{server.pid}/task")
    await until(lambda: all(" T " in stat.read_text(encoding="ascii") for stat in threads.glob("*/stat")))


async def read_up_to(watch: Watch, revision: int) -> list[Entry]:
    entries: list[Entry] = []
    with trio.fail_after(PATIENCE):
        while not entries or entries[-1].revision < revision:
            entries += await watch.receive()
    return entries


async def test_a_watch_goes_on_where_it_was(driver: str, private_server: Server) -> None:
    url = f"{private_server.url}/?driver={driver}"
    keys = ("a", "b", "c")
    async with osapi.connect(url) as watching, osapi.connect(url) as writing:
        bucket = await writing.bucket(BUCKET)
        await bucket.put("a", b"before")
        async with (await watching.bucket(BUCKET)).watch() as watch:
            for cycle in range(4):
                for number in range(30):
                    key, value = keys[number % 3], b"%d %d" % (cycle, number)
                    await insist(partial(bucket.put, key, value))
                    if number == 15:
                        await private_server.kill()
                        await private_server.start()
                if cycle == 2:
                    await insist(partial(bucket.delete, "b"))
            seen = await read_up_to(watch, (await bucket.info()).revision)
        stored = [entry for key in keys for entry in await bucket.history(key)]
    # The first set holds one revision of each key: here all there was when the watch opened.
    assert told(seen) == sorted(told(stored))


async def test_a_watch_of_what_is_new_leaves_nothing_out_though_nothing_had_come(
    driver: str, private_server: Server
) -> None:
    url = f"{private_server.url}/?driver={driver}"
    async with osapi.connect(url) as watching, osapi.connect(url) as writing:
        for number in range(3):
            config = BucketConfig(name=f"empty-{number}", history=64)
            bucket = await writing.bucket(config)
            async with (await watching.bucket(config)).watch(start="new") as watch:
                await private_server.kill()
                await private_server.start()
                # Nobody knows which of the two connections is back first.
                await insist(partial(bucket.put, "a", b"1"))
                await insist(partial(bucket.put, "a", b"2"))
                seen = await read_up_to(watch, (await bucket.info()).revision)
            assert told(seen) == told(await bucket.history("a"))


def told(entries: list[Entry]) -> list[tuple[int, str, bytes, str]]:
    return [(entry.revision, entry.key, entry.value, entry.change) for entry in entries]


async def test_a_pull_goes_on_with_all_that_it_had_requested(driver: str, private_server: Server) -> None:
    url = f"{private_server.url}/?driver={driver}"
    async with osapi.connect(url) as pulling, osapi.connect(url) as writing:
        stream = await writing.stream(STREAM)
        consumer = await (await pulling.stream(STREAM)).consumer(CONSUMER)
        received: list[bytes] = []
        async with consumer.pull() as pull:
            pull.request(40)
            for number in range(40):
                payload = b"%d" % number
                await insist(partial(stream.publish, "work.x", payload, msg_id=payload.decode()))
                with trio.fail_after(PATIENCE):
                    while payload not in received:
                        for delivery in await pull.receive():
                            if delivery.payload in received:
                                pull.request(1)  # its acknowledgement died with the server
                            received.append(delivery.payload)
                            delivery.ack()
                if number % 20 == 5:
                    await private_server.kill()
                    await private_server.start()
        assert {int(payload) for payload in received} == set(range(40))


async def publish(stream: Stream, msg_id: str, told: dict[str, str]) -> None:
    try:
        await stream.publish("work.x", msg_id.encode(), msg_id=msg_id)
        told[msg_id] = "stored"
    except osapi.TransportError as error:
        told[msg_id] = type(error).__name__


async def publish_all(stream: Stream, msg_ids: set[str]) -> dict[str, str]:
    told: dict[str, str] = {}
    async with trio.open_nursery() as nursery:
        for msg_id in msg_ids:
            nursery.start_soon(publish, stream, msg_id, told)
    return told


async def stored_in(stream: Stream) -> list[str]:
    found: list[str] = []
    for sequence in range(1, (await stream.info()).last_sequence + 1):
        message = await stream.get(sequence)
        assert message is not None
        found.append(message.payload.decode())
    return found


async def check_that_repeating_resolves(stream: Stream, told: dict[str, str]) -> None:
    assert set(told.values()) <= {"stored", "DisconnectedError", "UncertainError"}
    before = await stored_in(stream)
    for msg_id, outcome in told.items():
        if outcome == "stored":
            assert msg_id in before
        elif outcome == "DisconnectedError":
            assert msg_id not in before
    for msg_id in told:
        await insist(partial(stream.publish, "work.x", msg_id.encode(), msg_id=msg_id))
    assert sorted(await stored_in(stream)) == sorted(told)


async def open_stream(transport: Transport) -> Stream:
    streams: list[Stream] = []

    async def once() -> None:
        streams.append(await transport.stream(STREAM))

    await insist(once)
    return streams[0]


async def test_repeating_resolves_what_a_killed_server_left_in_doubt(driver: str, private_server: Server) -> None:
    async with osapi.connect(f"{private_server.url}/?driver={driver}") as transport:
        stream = await open_stream(transport)
        for cycle in range(3):
            told: dict[str, str] = {}
            async with trio.open_nursery() as nursery:
                for number in range(300):
                    nursery.start_soon(publish, stream, f"{cycle}.{number}", told)
                nursery.start_soon(private_server.kill)
            assert len(told) == 300
            await private_server.start()
            stream = await open_stream(transport)
            await check_that_repeating_resolves(stream, told)
            await stream.purge()
            await transport.delete_stream(STREAM.name)
            stream = await open_stream(transport)


async def test_repeating_resolves_what_a_hanging_server_left_in_doubt(driver: str, private_server: Server) -> None:
    async with osapi.connect(f"{private_server.url}/?driver={driver}&timeout=1") as transport:
        stream = await open_stream(transport)
        await hang(private_server)
        with trio.fail_after(PATIENCE):
            told = await publish_all(stream, {str(number) for number in range(100)})
        assert set(told.values()) == {"UncertainError"}
        os.kill(private_server.pid, signal.SIGCONT)
        await insist(stream.info)
        for msg_id in told:
            await insist(partial(stream.publish, "work.x", msg_id.encode(), msg_id=msg_id))
        assert sorted(await stored_in(stream)) == sorted(told)
