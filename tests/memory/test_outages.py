"""Calls that are on their way when the connection breaks, or when they are cancelled."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import DisconnectedError, MissingError, UncertainError
from osapi_memory import Broker, Faults
from osapi_memory.watch import MemoryWatch
from tests.memory.wires import BUCKET, CONSUMER, STREAM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from trio.testing import MockClock

    from osapi_memory import MemoryTransport

SLOW = Faults(1, delay=2)


# --- Calls on their way ----------------------------------------------------------------------------------------


async def test_a_break_ends_calls_on_their_way_reads_may_be_repeated_writes_are_uncertain(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    stored = await transport.bucket(BUCKET)
    told: dict[str, tuple[type[Exception], str]] = {}

    async def note(name: str, call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except (DisconnectedError, UncertainError) as error:
            told[name] = type(error), str(error)

    async with broker.connect(faults=SLOW) as bad:
        bucket = await bad.bucket(BUCKET)
        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(note, f"w{number}", partial(bucket.put, f"w{number}", b"value"))
                nursery.start_soon(note, f"r{number}", bucket.info)
            await trio.sleep(1)
            bad.disconnect()
            bad.reconnect()
        problem = "the connection broke before the answer"
        assert {error for name, error in told.items() if name[0] == "w"} == {(UncertainError, problem)}
        assert {error for name, error in told.items() if name[0] == "r"} == {(DisconnectedError, problem)}
        found = [await stored.get(name) for name in told if name[0] == "w"]
        assert {entry and entry.value for entry in found} == {None, b"value"}
        assert (await bucket.info()).revision == 40 - found.count(None)


async def test_a_call_that_is_cancelled_on_its_way_has_happened_or_not(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    stored = await transport.bucket(BUCKET)
    async with broker.connect(faults=SLOW) as bad:
        bucket = await bad.bucket(BUCKET)
        for _ in range(40):
            with trio.move_on_after(1):
                await bucket.put("a", b"value")
    revision = (await stored.info()).revision
    await trio.sleep(10)
    assert 0 < (await stored.info()).revision == revision < 40


async def interrupted(opening: Callable[[], AbstractAsyncContextManager[object]], bad: MemoryTransport) -> int:
    """Open something many times, cancelled or cut off at some point; return how often that was too early."""

    async def cut_off() -> None:
        await trio.sleep(1)
        bad.disconnect()
        bad.reconnect()

    failed = 0
    for seconds in (1.0, 1.5, 2.0, 2.5) * 5:
        with trio.move_on_after(seconds) as scope:
            async with opening():
                pass
        failed += scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut_off)
            try:
                async with opening():
                    pass
            except DisconnectedError:
                failed += 1
    return failed


async def test_opening_a_pull_that_is_cancelled_or_cut_off_on_its_way_leaves_none_open(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    config = replace(CONSUMER, max_waiting=1)
    healthy = await (await transport.stream(STREAM)).consumer(config)
    async with broker.connect(faults=SLOW) as bad:
        consumer = await (await bad.stream(STREAM)).consumer(config)
        assert await interrupted(consumer.pull, bad) > 20
        async with healthy.pull():
            pass


async def test_opening_a_watch_that_is_cancelled_or_cut_off_on_its_way_leaves_none_open(
    broker: Broker, autojump_clock: MockClock
) -> None:
    async with broker.connect(faults=SLOW) as bad:
        bucket = await bad.bucket(BUCKET)
        assert await interrupted(bucket.watch, bad) > 20
        gc.collect()
        assert not [watch for watch in gc.get_objects() if type(watch) is MemoryWatch]


async def test_what_is_deleted_while_it_is_being_opened_is_missing(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    missing = 0
    async with broker.connect(faults=SLOW) as bad:
        bucket, stream = await bad.bucket(BUCKET), await bad.stream(STREAM)
        consumer = await stream.consumer(CONSUMER)

        async def delete() -> None:
            await trio.sleep(1)
            await transport.delete_bucket("b")
            await transport.delete_stream("s")

        for opening in (bucket.watch, consumer.pull) * 10:
            await transport.bucket(BUCKET)
            await (await transport.stream(STREAM)).consumer(CONSUMER)
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(delete)
                try:
                    async with opening():
                        assert trio.current_time() < start + 1
                except MissingError:
                    missing += 1
    assert missing > 5
