"""The ground that checks stand on: things of their own at the broker, and waits with an end."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import uuid4

import trio

from osapi.conformance.check import ConformanceError, expect, told
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Consumer, KeyValue, Pull, Stream, Transport

T = TypeVar("T")
Item_co = TypeVar("Item_co", covariant=True)

# What should happen at once, or within a second or two, has failed after this long.
PATIENCE = 10.0
# What should not happen had this long to happen.
SILENCE = 0.4
_POLL = 0.05


class Source(Protocol[Item_co]):
    """What a watch and a pull have in common."""

    async def receive(self) -> Sequence[Item_co]:
        """Wait for items and return all that have come."""
        ...


def unique(noun: str) -> str:
    """Return a name that nobody else uses, so that runs on a shared broker do not meet."""
    return f"conformance-{noun}-{uuid4().hex[:12]}"


@asynccontextmanager
async def fresh_bucket(transport: Transport, **settings: Any) -> AsyncGenerator[KeyValue]:
    """Create a bucket for the length of the block."""
    name = unique("bucket")
    try:
        yield await transport.bucket(BucketConfig(name=name, **settings))
    finally:
        with trio.move_on_after(PATIENCE, shield=True):
            await transport.delete_bucket(name)


@asynccontextmanager
async def fresh_stream(transport: Transport, **settings: Any) -> AsyncGenerator[Stream]:
    """Create a stream that owns the subjects below its name, for the length of the block."""
    name = unique("stream")
    try:
        yield await transport.stream(StreamConfig(name=name, subjects=(f"{name}.>",), **settings))
    finally:
        with trio.move_on_after(PATIENCE, shield=True):
            await transport.delete_stream(name)


def on(stream: Stream, subject: str) -> str:
    """Return a subject, or a filter, below the stream's own name."""
    return f"{stream.config.name}.{subject}"


@asynccontextmanager
async def fresh_consumer(transport: Transport, **settings: Any) -> AsyncGenerator[tuple[Stream, Consumer]]:
    """Create a stream and a consumer of all its messages for the length of the block."""
    async with fresh_stream(transport) as stream:
        yield stream, await stream.consumer(ConsumerConfig(name="consumer", **settings))


async def publish(stream: Stream, count: int, subject: str = "messages") -> None:
    """Publish so many messages, whose payloads are their numbers from 1."""
    for number in range(1, count + 1):
        await stream.publish(on(stream, subject), b"%d" % number)


@contextmanager
def bounded(what: str, within: float = PATIENCE) -> Generator[None]:
    """Fail the check, saying what did not happen, unless the block ends in time."""
    try:
        with trio.fail_after(within):
            yield
    except trio.TooSlowError as late:
        raise ConformanceError(f"{what}: not within {within:g} s") from late


async def until(read: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str) -> T:
    """Read again and again until the answer is good, and return it."""
    deadline = trio.current_time() + PATIENCE
    while not good(seen := await read()):
        expect(trio.current_time() < deadline, f"{what}: not within {PATIENCE:g} s, but {told(seen)}")
        await trio.sleep(_POLL)
    return seen


async def collect(source: Source[Item_co], count: int, what: str) -> list[Item_co]:
    """Receive until there are so many items, and fail if there are more."""
    items: list[Item_co] = []
    with bounded(f"{what}: waiting for {count}"):
        while len(items) < count:
            batch = await source.receive()
            expect(len(batch) > 0, f"{what}: receive returned nothing")
            items.extend(batch)
    expect(len(items) == count, f"{what}: expected {count}, saw {told(items)}")
    return items


async def silence(source: Source[object], what: str, seconds: float = SILENCE) -> None:
    """Fail if anything comes."""
    with trio.move_on_after(seconds):
        batch = await source.receive()
        raise ConformanceError(f"{what}: nothing should come, but {told(list(batch))} did")


async def enter(block: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Enter a block and leave it at once."""
    async with block():
        pass


async def next_payloads(pull: Pull, count: int, what: str) -> list[bytes]:
    """Request so many messages, receive and acknowledge them, and return their payloads."""
    pull.request(count)
    deliveries = await collect(pull, count, what)
    for delivery in deliveries:
        delivery.ack()
    return [delivery.payload for delivery in deliveries]


async def value_of(bucket: KeyValue, key: str) -> bytes | None:
    """Return the value of a key, None if it has none."""
    entry = await bucket.get(key)
    return None if entry is None else entry.value


async def concurrently(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await many calls at once and return the answers in the order in which they came."""
    answers: list[T] = []

    async def run(call: Awaitable[T]) -> None:
        answers.append(await call)

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(run, call)
    return answers


async def cancelled_after(checkpoints: int, call: Callable[[], Awaitable[T]]) -> T | None:
    """Make a call and cancel it after so many checkpoints; return its answer if that came first."""
    answers: list[T] = []
    async with trio.open_nursery() as nursery:

        async def cancel() -> None:
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        nursery.start_soon(cancel)
        answers.append(await call())
        nursery.cancel_scope.cancel()
    return answers[0] if answers else None
