from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from osapi.errors import ClosedError, InvalidSettingError, LimitReachedError, MissingError
from osapi.transport import ConsumerConfig, Delivery, Pull, StreamConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from osapi_memory import Broker, MemoryTransport
    from osapi_memory.streams import MemoryConsumer, MemoryStream

STREAM = StreamConfig(name="s", subjects=("s.>",))


@pytest.fixture
async def stream(transport: MemoryTransport) -> MemoryStream:
    return await transport.stream(STREAM)


@pytest.fixture
async def consumer(stream: MemoryStream) -> MemoryConsumer:
    return await stream.consumer(ConsumerConfig(name="c", ack_wait=5))


def sequences(deliveries: Sequence[Delivery]) -> list[tuple[int, int]]:
    return [(delivery.sequence, delivery.deliveries) for delivery in deliveries]


async def publish(stream: MemoryStream, count: int) -> None:
    for _ in range(count):
        await stream.publish("s.a", b"x", headers={"h": "1"})


async def test_a_delivery_shows_the_message(stream: MemoryStream, consumer: MemoryConsumer) -> None:
    async with consumer.pull() as pull:
        assert isinstance(pull, Pull)
        pull.request(1)
        await publish(stream, 2)
        (delivery,) = await pull.receive()
        assert isinstance(delivery, Delivery)
        assert (delivery.subject, delivery.payload, delivery.headers) == ("s.a", b"x", {"h": "1"})
        assert sequences([delivery]) == [(1, 1)]
        info = await consumer.info()
        assert (info.pending, info.ack_pending, info.waiting) == (1, 1, 0)


async def test_requests_add_up_and_wait(stream: MemoryStream, consumer: MemoryConsumer) -> None:
    async with consumer.pull() as pull:
        pull.request(1)
        pull.request(2)
        await publish(stream, 5)
        assert sequences(await pull.receive()) == [(1, 1), (2, 1), (3, 1)]
        for count in (0, -1, 1.5, True):
            with pytest.raises(InvalidSettingError, match="request at least 1"):
                pull.request(count)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def test_ack_and_term_end_it(stream: MemoryStream, consumer: MemoryConsumer, autojump_clock: MockClock) -> None:
    async with consumer.pull() as pull:
        pull.request(9)
        await publish(stream, 2)
        one, two = await pull.receive()
        one.ack()
        one.nak()
        two.term("bad")
        two.in_progress()
        with trio.move_on_after(60):
            await pull.receive()
        assert (await consumer.info()).ack_pending == 0


async def test_nak_and_in_progress(stream: MemoryStream, consumer: MemoryConsumer, autojump_clock: MockClock) -> None:
    async with consumer.pull() as pull:
        pull.request(9)
        await publish(stream, 1)
        (first,) = await pull.receive()
        first.nak()
        (second,) = await pull.receive()
        assert trio.current_time() == 0
        second.nak(delay=2)
        (third,) = await pull.receive()
        assert trio.current_time() == pytest.approx(2)
        await trio.sleep(4)
        third.in_progress()
        (fourth,) = await pull.receive()
        assert trio.current_time() == pytest.approx(2 + 4 + 5)
        assert fourth.deliveries == 4


async def test_a_cancelled_receive_loses_nothing(
    stream: MemoryStream, consumer: MemoryConsumer, autojump_clock: MockClock
) -> None:
    async with consumer.pull() as pull:
        pull.request(9)
        with trio.move_on_after(1):
            await pull.receive()
        await publish(stream, 1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await pull.receive()
        assert sequences(await pull.receive()) == [(1, 1)]


async def test_a_receive_that_is_cancelled_just_as_a_message_comes_returns_it(
    stream: MemoryStream, consumer: MemoryConsumer
) -> None:
    taken: list[Delivery] = []

    async def receive() -> None:
        with scope:
            taken.extend(await pull.receive())

    async with consumer.pull() as pull, trio.open_nursery() as nursery:
        pull.request(1)
        scope = trio.CancelScope()
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await publish(stream, 1)
        scope.cancel()
        await wait_all_tasks_blocked()
        assert sequences(taken) == [(1, 1)]


async def test_leaving_the_block_gives_back_what_was_requested(
    stream: MemoryStream, consumer: MemoryConsumer, autojump_clock: MockClock
) -> None:
    async with consumer.pull() as left:
        left.request(5)
        await publish(stream, 1)
    left.request(5)
    with pytest.raises(ClosedError, match="the pull's block has ended"):
        await left.receive()
    async with consumer.pull() as pull:
        pull.request(5)
        await publish(stream, 1)
        assert sequences(await pull.receive()) == [(1, 2), (2, 1)]
        assert trio.current_time() == 0


async def test_deleting_the_consumer_or_the_stream_ends_it_after_what_has_come(
    stream: MemoryStream, consumer: MemoryConsumer, transport: MemoryTransport
) -> None:
    async with consumer.pull() as pull:
        pull.request(5)
        await publish(stream, 1)
        await stream.delete_consumer("c")
        assert len(await pull.receive()) == 1
        with pytest.raises(ClosedError, match="consumer c was deleted"):
            await pull.receive()
    with pytest.raises(MissingError):
        async with consumer.pull():
            raise AssertionError
    await stream.consumer(consumer.config)
    async with consumer.pull() as pull:
        await transport.delete_stream("s")
        with pytest.raises(ClosedError, match="consumer c was deleted"):
            await pull.receive()


async def test_max_waiting_is_how_many_pulls_may_be_open(stream: MemoryStream) -> None:
    consumer = await stream.consumer(ConsumerConfig(name="d", max_waiting=1))
    async with consumer.pull():
        with pytest.raises(LimitReachedError):
            async with consumer.pull():
                raise AssertionError
    async with consumer.pull():
        pass


async def test_waiting_requests_are_made_again_after_a_disconnection(
    stream: MemoryStream,
    consumer: MemoryConsumer,
    transport: MemoryTransport,
    broker: Broker,
    autojump_clock: MockClock,
) -> None:
    async with broker.connect() as elsewhere, consumer.pull() as pull:
        other = await elsewhere.stream(STREAM)
        pull.request(1)
        await other.publish("s.a", b"")
        transport.disconnect()
        pull.request(2)
        assert (await (await other.consumer(consumer.config)).info()).waiting == 0
        (delivery,) = await pull.receive()
        delivery.ack()  # vanishes
        transport.reconnect()
        assert (await consumer.info()).waiting == 1
        await other.publish("s.a", b"")
        assert sequences(await pull.receive()) == [(2, 1)]
        assert sequences(await pull.receive()) == [(1, 2)]
        transport.disconnect()
        transport.reconnect()
        assert (await consumer.info()).waiting == 0


async def test_a_pull_whose_consumer_was_deleted_meanwhile_ends_with_the_reconnection(
    consumer: MemoryConsumer, transport: MemoryTransport, broker: Broker
) -> None:
    async with broker.connect() as elsewhere, consumer.pull() as pull:
        transport.disconnect()
        await (await elsewhere.stream(STREAM)).delete_consumer("c")
        transport.reconnect()
        with pytest.raises(ClosedError, match="stream s has no consumer c"):
            await pull.receive()


async def test_a_crash_takes_the_pulls_along_and_messages_come_again_elsewhere(
    stream: MemoryStream, consumer: MemoryConsumer, broker: Broker, autojump_clock: MockClock
) -> None:
    async with broker.connect() as victim, consumer.pull() as pull:
        doomed_consumer = await (await victim.stream(STREAM)).consumer(consumer.config)
        async with doomed_consumer.pull() as doomed:
            doomed.request(9)
            await publish(stream, 2)
            one, two = await doomed.receive()
            await publish(stream, 1)
            victim.crash()
            for answer in (one.ack, one.nak, two.in_progress, two.term):
                answer()
            with pytest.raises(ClosedError, match="the transport has ended"):
                await doomed.receive()
            pull.request(9)
            assert sequences(await pull.receive()) == [(1, 2), (2, 2), (3, 2)]
            assert trio.current_time() == pytest.approx(5)


async def test_a_crash_starts_the_inactive_threshold(
    stream: MemoryStream, broker: Broker, autojump_clock: MockClock
) -> None:
    config = ConsumerConfig(name="idle", inactive_threshold=10)
    async with broker.connect() as victim:
        async with (await (await victim.stream(STREAM)).consumer(config)).pull():
            await trio.sleep(50)
            assert len(await stream.consumers()) == 1
            victim.crash()
            await trio.sleep(9)
        await trio.sleep(2)
        assert await stream.consumers() == []
