"""Pulls and watches of a connection that breaks, crashes or closes while something is on its way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace
from trio.testing import wait_all_tasks_blocked

from osapi.errors import ClosedError
from osapi_memory import Broker, Faults
from tests.memory.wires import BUCKET, CONSUMER, STREAM, publish, received, receiving, sequences

if TYPE_CHECKING:
    from trio.testing import MockClock

    from osapi.transport import Consumer, Pull, Watch
    from osapi_memory import MemoryTransport

SLOW = Faults(1, delay=2)


@pytest.fixture
async def consumer(transport: MemoryTransport) -> Consumer:
    """Return the consumer as a healthy connection sees it."""
    return await (await transport.stream(STREAM)).consumer(CONSUMER)


# --- Receivers -------------------------------------------------------------------------------------------------


async def test_what_is_on_its_way_to_a_pull_is_lost_with_the_connection_and_comes_again(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with broker.connect(faults=SLOW) as bad:
        async with (await (await bad.stream(STREAM)).consumer(CONSUMER)).pull() as pull:
            pull.request(20)
            for _ in range(20):
                await publish(transport, 1)
                await trio.sleep(0.1)
            before = await received(pull, 0.01)
            bad.disconnect()
            await trio.sleep(1)
            bad.reconnect()
            assert (await consumer.info()).waiting == 1
            after = await received(pull, 4)
            pull.request(len(before))
            after += await received(pull, 60)
    assert 0 < len(before) < 20
    assert sequences(before) == list(range(1, len(before) + 1))
    assert sequences(after) == list(range(1, 21))  # the answers were on their way too, and so these come again
    assert {delivery.deliveries for _, delivery in after} == {2}
    assert (await consumer.info()).ack_pending == 0


async def test_a_copy_is_lost_with_the_connection_like_all_that_is_on_its_way(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with broker.connect(faults=Faults(1, duplicate=1)) as bad:
        async with (await (await bad.stream(STREAM)).consumer(CONSUMER)).pull() as pull:
            pull.request(1)
            await publish(transport, 1)
            assert sequences(await received(pull, 1)) == [1]
            bad.disconnect()
            pull.request(1)
            assert await received(pull, 10) == []
            bad.reconnect()
            await publish(transport, 1)
            assert sequences(await received(pull, 10)) == [2]


async def test_a_watch_gives_each_change_once_and_in_order_over_many_breaks(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    stored = await transport.bucket(BUCKET)
    came: list[int] = []
    async with broker.connect(faults=SLOW) as bad, (await bad.bucket(BUCKET)).watch() as watch:
        for number in range(1, 61):
            await stored.put(f"k{number}", b"")
            await trio.sleep(0.25)
            came.extend(entry.revision for entry in watch.receive_nowait())
            if number % 10 == 5:
                bad.disconnect()
            if number % 10 == 8:
                bad.reconnect()
        await trio.sleep(2)
        came.extend(entry.revision for entry in watch.receive_nowait())
        await trio.sleep(10)
        assert watch.receive_nowait() == []
    assert came == list(range(1, 61))


async def test_a_cancelled_receive_loses_nothing_on_a_slow_wire(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    came: list[int] = []
    async with receiving(broker, SLOW, 30) as pull:
        await publish(transport, 30)
        for _ in range(300):
            came += sequences(await received(pull, 0.01))
    assert came == list(range(1, 31))


async def test_nothing_comes_to_who_has_closed(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    stored = await transport.bucket(BUCKET)
    async with broker.connect(faults=replace(SLOW, duplicate=1)) as bad:
        bucket = await bad.bucket(BUCKET)
        async with (
            (await (await bad.stream(STREAM)).consumer(CONSUMER)).pull() as pull,
            bucket.watch() as watch,
        ):
            pull.request(1)
            await publish(transport, 1)
            await stored.put("a", b"")
        pull.request(1)
        await trio.sleep(4)
        for receiver in (pull, watch):
            with pytest.raises(ClosedError, match="block has ended"):
                await receiver.receive()


async def test_nothing_comes_after_the_end_of_what_was_deleted(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    stored = await transport.bucket(BUCKET)
    async with receiving(broker, SLOW, 1) as pull, broker.connect(faults=SLOW) as bad:
        async with (await bad.bucket(BUCKET)).watch() as watch:
            await publish(transport, 1)
            await stored.put("a", b"")
            await transport.delete_stream("s")
            await transport.delete_bucket("b")
            for _ in range(2):
                for receiver in (pull, watch):
                    with pytest.raises(ClosedError, match="was deleted"):
                        await receiver.receive()
                await trio.sleep(4)


async def test_a_pull_whose_stream_was_deleted_meanwhile_ends_with_the_reconnection(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with broker.connect() as elsewhere, consumer.pull() as pull:
        transport.disconnect()
        await elsewhere.delete_stream("s")
        await (await elsewhere.stream(STREAM)).consumer(CONSUMER)
        transport.reconnect()
        with trio.fail_after(60), pytest.raises(ClosedError, match="stream s has no consumer c"):
            await pull.receive()


# --- The end ---------------------------------------------------------------------------------------------------


async def test_a_crash_gives_what_was_on_its_way_to_others_and_loses_the_answers(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with consumer.pull() as other, broker.connect(faults=SLOW) as bad:
        async with (await (await bad.stream(STREAM)).consumer(CONSUMER)).pull() as pull:
            start = trio.current_time()
            pull.request(10)
            await publish(transport, 10)
            assert await received(pull, 2)
            bad.crash()
            other.request(10)
            came = await received(other, 60)
            with trio.fail_after(60), pytest.raises(ClosedError, match="the transport has ended"):
                await pull.receive()
    assert came
    assert [moment - start for moment, _ in came] == pytest.approx([CONSUMER.ack_wait] * len(came))
    assert {delivery.deliveries for _, delivery in came} == {2}
    assert (await consumer.info()).ack_pending == 0


async def test_the_end_wakes_all_who_wait(broker: Broker, autojump_clock: MockClock) -> None:
    async def receive(receiver: Pull | Watch) -> None:
        with trio.fail_after(60), pytest.raises(ClosedError, match="the transport has ended"):
            await receiver.receive()

    async with broker.connect(faults=SLOW) as bad:
        bucket, stream = await bad.bucket(BUCKET), await bad.stream(STREAM)
        consumer = await stream.consumer(CONSUMER)
        async with bucket.watch() as watch, consumer.pull() as pull, trio.open_nursery() as nursery:
            nursery.start_soon(receive, watch)
            nursery.start_soon(receive, pull)
            await wait_all_tasks_blocked()
            bad.crash()


async def test_no_task_is_left_of_a_broker_with_things_on_their_way(autojump_clock: MockClock) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with Broker() as broker, broker.connect() as healthy:
        async with receiving(broker, SLOW, 9) as pull:
            await publish(healthy, 9)
            await received(pull, 1)
            assert trio.lowlevel.current_statistics().tasks_living == before + 1
        await publish(healthy, 9)
    assert trio.lowlevel.current_statistics().tasks_living == before
