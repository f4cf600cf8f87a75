"""Each fault by itself: what a user of a bad wire sees, by seed, in virtual time."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import pytest
import trio

from osapi.errors import InvalidSettingError, UncertainError
from osapi_memory import Broker, Faults
from tests.memory.wires import BUCKET, CONSUMER, STREAM, publish, received, receiving, sequences, settled

if TYPE_CHECKING:
    from trio.testing import MockClock

    from osapi.transport import Consumer
    from osapi_memory import MemoryTransport


@pytest.fixture
async def consumer(transport: MemoryTransport) -> Consumer:
    """Return the consumer as a healthy connection sees it."""
    return await (await transport.stream(STREAM)).consumer(CONSUMER)


# --- The settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["lose", "duplicate", "reorder", "uncertain"])
def test_a_probability_is_0_to_1(setting: str) -> None:
    for accepted in (0, 1):
        Faults(1, **{setting: accepted})
    for refused in (-0.1, 1.1, nan, inf):
        with pytest.raises(InvalidSettingError, match=f"is no probability for {setting}; give 0 to 1"):
            Faults(1, **{setting: refused})


def test_a_delay_is_some_seconds() -> None:
    Faults(1, delay=3600)
    for refused in (-1, nan, inf):
        with pytest.raises(InvalidSettingError, match="is no delay; give seconds, 0 for none"):
            Faults(1, delay=refused)


# --- The seed --------------------------------------------------------------------------------------------------


async def seen(seed: int) -> tuple[list[object], list[float]]:
    """Return what the user of the worst wire saw, and when."""
    faults = Faults(seed, lose=0.3, duplicate=0.3, delay=1, reorder=0.3, uncertain=0.3)
    events: list[object] = []
    start = trio.current_time()
    async with Broker() as broker, broker.connect(faults=faults) as bad:
        bucket = await settled(lambda: bad.bucket(BUCKET))
        for number in range(10):
            try:
                events.append(await bucket.put("a", b""))
            except UncertainError:
                events.append(f"{number} is uncertain")
        moments = [trio.current_time() - start]
        async with receiving(broker, faults, 10) as pull, broker.connect() as healthy:
            await publish(healthy, 10)
            for _ in range(20):
                came = await received(pull, 10)
                events.extend((delivery.sequence, delivery.deliveries) for _, delivery in came)
                moments.extend(moment - start for moment, _ in came)
                pull.request(1)
    return events, moments


async def test_the_same_seed_gives_the_same_faults_and_another_one_others(autojump_clock: MockClock) -> None:
    events, moments = await seen(1)
    again, moments_again = await seen(1)
    assert events == again
    assert moments == pytest.approx(moments_again, abs=1e-4)  # the time of day, a large number, rounds a little
    assert len({str((await seen(seed))[0]) for seed in range(4)}) == 4


# --- lose ------------------------------------------------------------------------------------------------------


async def test_a_lost_delivery_counts_and_comes_again_after_ack_wait(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, lose=1), 1) as pull:
        await publish(transport, 2)
        assert await received(pull, 4) == []
        info = await consumer.info()
        assert (info.pending, info.ack_pending, info.waiting) == (0, 2, 1)  # what was lost is asked for again
    async with consumer.pull() as healthy:
        healthy.request(2)
        came = await received(healthy, 60)
        assert [moment for moment, _ in came] == pytest.approx([CONSUMER.ack_wait] * 2)
        assert [delivery.deliveries for _, delivery in came] == [2, 2]


async def test_with_losses_each_message_comes_and_is_ended_in_the_end(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, lose=0.5), 200) as pull:
        await publish(transport, 20)
        came = await received(pull, 200)
    assert set(sequences(came)) == set(range(1, 21))
    assert len(came) > 20  # what was answered comes again if the answer was lost
    for moment, delivery in came:
        assert moment == pytest.approx(5 * (delivery.deliveries - 1))
    info = await consumer.info()
    assert (info.pending, info.ack_pending) == (0, 0)


async def test_losses_touch_neither_reads_nor_writes_nor_watches(broker: Broker, autojump_clock: MockClock) -> None:
    async with broker.connect(faults=Faults(1, lose=1, duplicate=1)) as bad:
        bucket = await bad.bucket(BUCKET)
        async with bucket.watch() as watch:
            for number in range(1, 6):
                assert await bucket.put("a", b"") == number
                assert await bucket.get("a") is not None
            assert [entry.revision for entry in await watch.receive()] == [1, 2, 3, 4, 5]


# --- duplicate -------------------------------------------------------------------------------------------------


async def test_a_copy_is_the_same_delivery_and_counts_against_the_next_request(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, duplicate=1), 2) as pull:
        await publish(transport, 3)
        assert sequences(await received(pull, 1)) == [1, 2]
        pull.request(1)
        (copy,) = [delivery for _, delivery in await received(pull, 1)]
        assert (copy.sequence, copy.deliveries) == (1, 1)
        pull.request(2)
        assert sequences(await received(pull, 60)) == [2, 3]
        info = await consumer.info()
        assert (info.ack_pending, info.waiting) == (0, 0)


# --- delay and reorder -----------------------------------------------------------------------------------------


async def test_everything_takes_its_time_and_keeps_its_order(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, delay=4), 50) as pull:
        start = trio.current_time()
        await publish(transport, 50)
        came = await received(pull, 4)
        moments = [moment - start for moment, _ in came]
        assert 0 < moments[0] < moments[-1] <= 4
    assert sequences(came) == list(range(1, 51))


async def test_an_answer_takes_its_time_too(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, delay=2), 1) as pull:
        await publish(transport, 1)
        (delivery,) = await pull.receive()
        delivery.ack()
        assert (await consumer.info()).ack_pending == 1
        await trio.sleep(2)
        assert (await consumer.info()).ack_pending == 0


async def test_calls_take_their_time_both_ways(broker: Broker, autojump_clock: MockClock) -> None:
    async with broker.connect(faults=Faults(1, delay=3)) as bad, broker.connect() as healthy:
        bucket = await bad.bucket(BUCKET)
        spent: list[float] = []
        for _ in range(30):
            start = trio.current_time()
            await bucket.put("a", b"")
            spent.append(trio.current_time() - start)
        assert 0 < min(spent) < 3 < max(spent) <= 6
        async with (await healthy.bucket(BUCKET)).watch("b") as watch, trio.open_nursery() as nursery:
            nursery.start_soon(bucket.put, "b", b"")
            await watch.receive()
            assert nursery.child_tasks  # it is stored, and the answer is still on its way


async def test_what_may_be_reordered_is_and_nothing_is_missing(
    transport: MemoryTransport, broker: Broker, consumer: Consumer, autojump_clock: MockClock
) -> None:
    async with receiving(broker, Faults(1, delay=4, reorder=0.5), 50) as pull:
        await publish(transport, 50)
        came = sequences(await received(pull, 4))
    assert came != sorted(came)
    assert sorted(came) == list(range(1, 51))


async def test_a_watch_is_late_but_in_order_and_each_change_comes_once(
    transport: MemoryTransport, broker: Broker, autojump_clock: MockClock
) -> None:
    bucket = await transport.bucket(BUCKET)
    async with broker.connect(faults=Faults(1, delay=2, reorder=1, duplicate=1, lose=1, uncertain=0)) as bad:
        async with (await bad.bucket(BUCKET)).watch() as watch:
            for _ in range(40):
                await bucket.put("a", b"")
                await trio.sleep(0.1)
            start = trio.current_time()
            came: list[int] = []
            with trio.move_on_after(10):
                while len(came) < 40:
                    came.extend(entry.revision for entry in await watch.receive())
            assert came == list(range(1, 41))
            assert 0 < trio.current_time() - start <= 2
            await trio.sleep(10)
            assert watch.receive_nowait() == []
