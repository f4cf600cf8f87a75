"""The broker's block, its clock and its one task; what all calls have in common."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from osapi.errors import ClosedError, DisconnectedError, InvalidSettingError, MismatchError, MissingError
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig, Transport
from osapi_memory import Broker, MemoryTransport
from osapi_memory.connection import CALLS_PER_YIELD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

CONFIG = BucketConfig(name="b")
STREAM = StreamConfig(name="s", subjects=("s.>",))


async def test_it_is_a_transport(transport: MemoryTransport) -> None:
    assert isinstance(transport, Transport)
    assert transport.max_payload == 1024 * 1024


# --- The block -------------------------------------------------------------------------------------------------


async def test_no_task_outlives_the_block() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with Broker() as broker, broker.connect() as transport:
        bucket = await transport.bucket(BucketConfig(name="b", ttl=100))
        await bucket.put("a", b"")
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_an_error_of_the_block_goes_on_as_it_is_not_in_a_group() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with Broker() as broker, broker.connect():
            raise KeyError("mine")


async def test_a_cancelled_block_ends_and_keeps_the_error_raised_on_the_way_out() -> None:
    with trio.CancelScope() as scope, pytest.raises(KeyError):
        async with Broker():
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError
    with trio.CancelScope() as scope:
        async with Broker():
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_failure_of_the_task_ends_the_block_and_says_why(autojump_clock: MockClock) -> None:
    class Broken:
        def advance(self, now: float) -> None:
            raise RuntimeError("broken")

        def next_due(self) -> float:
            return 1.0

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="broken")):
        async with Broker() as broker:
            broker.arm(Broken(), broker.now())
            await trio.sleep_forever()


async def test_there_is_no_connecting_outside_of_the_block() -> None:
    broker = Broker()
    with pytest.raises(ClosedError, match="connect within its `async with` block"):
        async with broker.connect():
            raise AssertionError


async def test_a_closed_transport_refuses_everything(broker: Broker) -> None:
    async with broker.connect() as transport:
        bucket, stream = await transport.bucket(CONFIG), await transport.stream(STREAM)
        consumer = await stream.consumer(ConsumerConfig(name="c"))
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: transport.bucket(CONFIG),
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b""),
        bucket.keys,
        lambda: bucket.delete("a"),
        lambda: stream.publish("s.a", b""),
        stream.info,
        stream.purge,
        lambda: consumer.pull().__aenter__(),
        lambda: bucket.watch().__aenter__(),
    ]
    for call in calls:
        with pytest.raises(ClosedError, match="the transport's block has ended"):
            await call()
    transport.disconnect()
    with pytest.raises(ClosedError):
        transport.reconnect()


# --- Time ------------------------------------------------------------------------------------------------------


async def test_now_is_the_time_of_day_and_moves_with_virtual_time(
    transport: MemoryTransport, autojump_clock: MockClock
) -> None:
    start = transport.now()
    assert abs(start - time.time()) < 60
    await trio.sleep(3600)
    assert transport.now() == pytest.approx(start + 3600, abs=1e-3)


async def test_expiry_is_told_in_time_and_seen_at_once(transport: MemoryTransport, autojump_clock: MockClock) -> None:
    bucket = await transport.bucket(BucketConfig(name="b", marker_ttl=1))
    async with bucket.watch(start="new") as watch:
        for delay in (0.1, 1 / 3, 0.7):
            await trio.sleep(delay)
            await bucket.put("a", b"", ttl=1)
            await watch.receive()
            entry = (await watch.receive())[0]
            assert entry.change == "expire"
            assert entry.created <= transport.now()
    await bucket.put("a", b"", ttl=1)
    await trio.sleep(1)
    assert await bucket.get("a") is None


async def test_an_earlier_deadline_moves_the_timer_forward(
    transport: MemoryTransport, autojump_clock: MockClock
) -> None:
    bucket = await transport.bucket(BucketConfig(name="b", marker_ttl=1))
    other = await transport.bucket(BucketConfig(name="other", marker_ttl=1))
    async with bucket.watch() as watch, other.watch() as other_watch:
        await other.put("a", b"", ttl=50)
        await wait_all_tasks_blocked()
        await bucket.put("a", b"", ttl=5)
        await watch.receive()
        await watch.receive()
        assert trio.current_time() == pytest.approx(5)
        await other_watch.receive()
        await other_watch.receive()
        assert trio.current_time() == pytest.approx(50)


async def test_what_was_deleted_does_not_wake_the_timer(transport: MemoryTransport, autojump_clock: MockClock) -> None:
    bucket = await transport.bucket(CONFIG)
    await bucket.put("a", b"", ttl=5)
    assert await transport.delete_bucket("b")
    await trio.sleep(10)
    assert not await transport.delete_bucket("b")


# --- Checkpoints -----------------------------------------------------------------------------------------------


async def test_a_cancelled_call_has_changed_nothing(transport: MemoryTransport) -> None:
    bucket, stream = await transport.bucket(CONFIG), await transport.stream(STREAM)
    for _ in range(2 * CALLS_PER_YIELD):  # whether the call yields or only looks
        with trio.CancelScope() as scope:
            scope.cancel()
            await bucket.put("a", b"")
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.publish("s.a", b"")
        assert scope.cancelled_caught
        await bucket.keys()
    assert (await bucket.info()).revision == 0
    assert (await stream.info()).last_sequence == 0


async def test_a_call_that_is_cancelled_while_it_takes_effect_takes_effect_whole(transport: MemoryTransport) -> None:
    bucket = await transport.bucket(CONFIG)
    done = 0
    with trio.CancelScope() as scope:
        async with bucket.watch():
            for _ in range(10):
                if done == 5:
                    scope.cancel()
                await bucket.put("a", b"")
                done += 1
    assert done == (await bucket.info()).revision == 5


async def test_no_task_makes_many_calls_while_others_wait(transport: MemoryTransport) -> None:
    bucket = await transport.bucket(CONFIG)
    calls: list[int] = []

    async def hog(number: int) -> None:
        for _ in range(10 * CALLS_PER_YIELD):
            await bucket.get("a")
            calls.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hog, 0)
        nursery.start_soon(hog, 1)
    # Trio may take two tasks in either order each time, so one may have two turns in a row, but not three.
    runs = "".join(map(str, calls[: 8 * CALLS_PER_YIELD]))
    assert "0" * (2 * CALLS_PER_YIELD + 1) not in runs
    assert "1" * (2 * CALLS_PER_YIELD + 1) not in runs


# --- What there is ---------------------------------------------------------------------------------------------


async def test_opening_with_other_settings_is_a_mismatch(transport: MemoryTransport) -> None:
    await transport.bucket(CONFIG)
    await transport.bucket(CONFIG)
    with pytest.raises(MismatchError, match="history is 1, not 2"):
        await transport.bucket(BucketConfig(name="b", history=2))
    await transport.stream(STREAM)
    await transport.stream(STREAM)
    with pytest.raises(MismatchError, match="max_msgs is -1, not 5"):
        await transport.stream(StreamConfig(name="s", subjects=("s.>",), max_msgs=5))
    with pytest.raises(MismatchError, match="overlaps 's.>' of stream s"):
        await transport.stream(StreamConfig(name="t", subjects=("s.a",)))
    with pytest.raises(InvalidSettingError):
        await transport.bucket(BucketConfig(name="b!"))


async def test_handles_of_what_was_deleted_say_so_and_work_again_once_it_is_back(transport: MemoryTransport) -> None:
    bucket, stream = await transport.bucket(CONFIG), await transport.stream(STREAM)
    consumer = await stream.consumer(ConsumerConfig(name="c"))
    assert await transport.delete_bucket("b")
    assert await transport.delete_stream("s")
    assert not await transport.delete_stream("s")
    for call in (bucket.info, stream.info, consumer.info, stream.consumers):
        with pytest.raises(MissingError, match="it was deleted"):
            await call()
    with pytest.raises(MissingError):
        await bucket.put("a", b"")
    await transport.bucket(CONFIG)
    await transport.stream(StreamConfig(name="s", subjects=("t.>",)))
    assert await bucket.put("a", b"") == 1
    assert (await stream.publish("t.a", b"")).sequence == 1
    with pytest.raises(MissingError, match="stream s has no consumer c"):
        await consumer.info()


async def test_connections_share_what_the_broker_holds(broker: Broker) -> None:
    async with broker.connect() as one, broker.connect() as other:
        await (await one.bucket(CONFIG)).put("a", b"1")
        entry = await (await other.bucket(CONFIG)).get("a")
        assert entry is not None
        assert entry.value == b"1"


# --- Disconnecting ---------------------------------------------------------------------------------------------


async def test_disconnected_calls_change_nothing_until_the_connection_is_back(transport: MemoryTransport) -> None:
    bucket, stream = await transport.bucket(CONFIG), await transport.stream(STREAM)
    transport.disconnect()
    transport.disconnect()
    for call in (lambda: bucket.put("a", b""), lambda: bucket.get("a"), lambda: stream.publish("s.a", b"")):
        with pytest.raises(DisconnectedError, match="is down"):
            await call()
    transport.reconnect()
    transport.reconnect()
    assert (await bucket.info()).revision == 0
    assert await bucket.put("a", b"") == 1


async def test_a_crashed_connection_stays_dead_and_the_others_live(broker: Broker, transport: MemoryTransport) -> None:
    bucket = await transport.bucket(CONFIG)
    async with broker.connect() as victim:
        doomed = await victim.bucket(CONFIG)
        victim.crash()
        with pytest.raises(DisconnectedError, match="has crashed"):
            await doomed.put("a", b"")
        with pytest.raises(DisconnectedError, match="has crashed"):
            victim.reconnect()
    assert await bucket.put("a", b"") == 1


async def test_a_broker_that_has_ended_is_garbage_without_a_trace() -> None:
    async with Broker() as broker, broker.connect() as transport:
        await transport.bucket(CONFIG)
    del broker, transport
    gc.collect()
