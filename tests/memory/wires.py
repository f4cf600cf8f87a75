"""What the tests of bad wires have in common: one bucket, one stream, one consumer, and ways to use them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from osapi.errors import UncertainError
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from osapi.transport import Delivery, Pull
    from osapi_memory import Broker, Faults, MemoryTransport

T = TypeVar("T")

BUCKET = BucketConfig(name="b")
STREAM = StreamConfig(name="s", subjects=("s.>",))
CONSUMER = ConsumerConfig(name="c", ack_wait=5)


async def settled(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until its outcome is known."""
    for _ in range(100):
        try:
            return await call()
        except UncertainError:
            continue
    raise AssertionError("no call of a hundred was answered")


@asynccontextmanager
async def receiving(broker: Broker, faults: Faults, count: int) -> AsyncGenerator[Pull]:
    """Open a pull over a bad wire and ask for so many messages."""
    async with broker.connect(faults=faults) as bad:
        stream = await settled(lambda: bad.stream(STREAM))
        consumer = await settled(lambda: stream.consumer(CONSUMER))
        async with consumer.pull() as pull:
            pull.request(count)
            yield pull


async def publish(transport: MemoryTransport, count: int) -> None:
    """Publish so many messages, at the same moment if the wire is a good one."""
    stream = await transport.stream(STREAM)
    for _ in range(count):
        await stream.publish("s.a", b"x")


async def received(pull: Pull, seconds: float) -> list[tuple[float, Delivery]]:
    """Return what comes in so many seconds, each with its moment, every one acknowledged at once."""
    came: list[tuple[float, Delivery]] = []
    with trio.move_on_after(seconds):
        while True:
            for delivery in await pull.receive():
                came.append((trio.current_time(), delivery))
                delivery.ack()
    return came


def sequences(came: Sequence[tuple[float, Delivery]]) -> list[int]:
    """Return the sequences of what came, in its order."""
    return [delivery.sequence for _, delivery in came]
