"""T1: calls that are cancelled. `calls` has T3 to T5, `refusals` T2."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio

from osapi.conformance.check import check, expect, expect_equal
from osapi.conformance.ground import (
    SILENCE,
    cancelled_after,
    collect,
    fresh_bucket,
    fresh_consumer,
    on,
    publish,
    value_of,
)
from osapi.transport import BucketConfig, ConsumerConfig, Outgoing, StreamConfig, Write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from osapi.transport import Consumer, KeyValue, Stream, Transport

    Calls = dict[str, Callable[[], Awaitable[object]]]


# A backend may look for cancellation at every call and yield only at some; starving the others it may not.
CALLS_IN_A_ROW = 100
# What a moment does is partly chance, so there are many.
CANCELLATIONS = 60
LEFT = "what was not received yet"


class Place(NamedTuple):
    """One of each noun, with something in it: the revision of the key `a`, the name of nothing yet."""

    transport: Transport
    bucket: KeyValue
    stream: Stream
    consumer: Consumer
    revision: int
    new: str


@check("T1")
async def a_call_in_a_cancelled_scope_changes_nothing(transport: Transport) -> None:
    """It is cancelled before it takes effect: nothing is stored, made or removed."""
    async with _place(transport) as place:
        stored = await place.stream.publish(on(place.stream, "a"), b"before")
        for name, call in (_reads(place) | _writes(place) | _removals(place)).items():
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            expect(scope.cancelled_caught, f"{name} went through in a cancelled scope")
        expect_equal(await place.bucket.put("a", b"after"), place.revision + 1, "the next revision")
        after = await place.stream.publish(on(place.stream, "a"), b"after")
        expect_equal(after.sequence, stored.sequence + 1, "the next sequence")
        names = [info.config.name for info in await place.stream.consumers()]
        expect_equal(names, [place.consumer.config.name], "consumers")


@check("T1")
async def cancelled_calls_leave_the_rest_alone(transport: Transport) -> None:
    """Calls that are cancelled while under way either took effect or not, and later calls get their own answers."""
    async with fresh_bucket(transport) as bucket:
        for patience in range(24):
            key = f"k{patience % 4}"
            await cancelled_after(patience, partial(bucket.put, key, b"cancelled"))
            revision = await bucket.put("other", b"%d" % patience)
            entry = await bucket.get("other")
            seen = entry and (entry.revision, entry.value)
            expect_equal(seen, (revision, b"%d" % patience), "what was written after a cancelled call")
            expect(await value_of(bucket, key) in (None, b"cancelled"), f"{key} has a value nobody wrote")


@check("T1")
async def a_cancelled_receive_of_a_pull_loses_nothing(transport: Transport) -> None:
    """Whenever it is cancelled, what it would have returned is returned by the next one."""
    async with fresh_consumer(transport) as (stream, consumer), consumer.pull() as pull:
        pull.request(CANCELLATIONS)
        seen: list[bytes] = []
        for number in range(CANCELLATIONS):
            await stream.publish(on(stream, "a"), b"%d" % number)
            got = await cancelled_after(_moment(number), pull.receive)
            seen += [delivery.payload for delivery in got or ()]
        seen += [delivery.payload for delivery in await collect(pull, CANCELLATIONS - len(seen), LEFT)]
        expect_equal(
            seen, [b"%d" % number for number in range(CANCELLATIONS)], "messages received in spite of cancellation"
        )


@check("T1")
async def a_cancelled_receive_of_a_watch_loses_nothing(transport: Transport) -> None:
    """Neither the first set nor later changes are lost, whenever a receive is cancelled."""
    async with fresh_bucket(transport) as bucket:
        revisions = [await bucket.put(f"k{number}", b"1") for number in range(5)]
        async with bucket.watch() as watch:
            seen: list[int] = []
            for number in range(CANCELLATIONS):
                if number >= 5:
                    revisions.append(await bucket.put(f"k{number}", b"1"))
                got = await cancelled_after(_moment(number), watch.receive)
                seen += [entry.revision for entry in got or ()]
            seen += [entry.revision for entry in await collect(watch, CANCELLATIONS - len(seen), LEFT)]
        expect_equal(seen, revisions, "revisions received in spite of cancellation")


@check("T1")
async def receive_can_be_cancelled_when_something_has_come(transport: Transport) -> None:
    """In a cancelled scope it returns nothing, and leaves all for the next one."""
    async with (
        fresh_consumer(transport) as (stream, consumer),
        fresh_bucket(transport) as bucket,
        consumer.pull() as pull,
        bucket.watch() as watch,
    ):
        pull.request(2)
        await publish(stream, 2)
        await bucket.put("a", b"1")
        await bucket.put("b", b"1")
        # Both have been sent; they have to arrive, which nobody can see without receiving them.
        await trio.sleep(SILENCE)
        for what, source in (("pull", pull), ("watch", watch)):
            with trio.CancelScope() as scope:
                scope.cancel()
                await source.receive()
            expect(scope.cancelled_caught, f"receive of a {what} went through in a cancelled scope")
            await collect(source, 2, f"what a {what} holds")


@check("T1")
async def calls_in_a_row_let_other_tasks_run(transport: Transport) -> None:
    """A task that does nothing but call one method cannot keep the others from running."""
    async with _place(transport) as place, place.consumer.pull() as pull:
        await publish(place.stream, CALLS_IN_A_ROW)

        async def receive() -> None:
            pull.request(1)
            await pull.receive()

        calls = _reads(place) | {
            "bucket.put": lambda: place.bucket.put("b", b"1"),
            "stream.publish": lambda: place.stream.publish(on(place.stream, "b"), b"1"),
            "pull.receive": receive,
        }
        for name, call in calls.items():
            ran = trio.Event()

            async def other(ran: trio.Event = ran) -> None:
                ran.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                for _ in range(CALLS_IN_A_ROW):
                    await call()
                    if ran.is_set():
                        break
                expect(ran.is_set(), f"{CALLS_IN_A_ROW} calls of {name} in a row kept another task from running")


def _moment(number: int) -> int:
    """Return after how many checkpoints to cancel: mostly at once, which is when a careless receive has taken."""
    return (0, 0, 1, 0, 3, 12)[number % 6]


@asynccontextmanager
async def _place(transport: Transport) -> AsyncGenerator[Place]:
    async with fresh_consumer(transport) as (stream, consumer), fresh_bucket(transport, history=5) as bucket:
        revision = await bucket.put("a", b"1")
        await publish(stream, 1)
        new = f"{stream.config.name}-new"
        try:
            yield Place(transport, bucket, stream, consumer, revision, new)
        finally:
            with trio.move_on_after(SILENCE, shield=True):
                await transport.delete_bucket(new)
                await transport.delete_stream(new)


def _reads(place: Place) -> Calls:
    bucket, stream = place.bucket, place.stream
    return {
        "bucket.get": lambda: bucket.get("a"),
        "bucket.get_many": lambda: bucket.get_many(["a"]),
        "bucket.history": lambda: bucket.history("a"),
        "bucket.keys": bucket.keys,
        "bucket.info": bucket.info,
        "stream.get": lambda: stream.get(1),
        "stream.last": lambda: stream.last(on(stream, ">")),
        "stream.consumers": stream.consumers,
        "stream.info": stream.info,
        "consumer.info": place.consumer.info,
        "bucket": lambda: place.transport.bucket(bucket.config),
        "stream": lambda: place.transport.stream(stream.config),
    }


def _writes(place: Place) -> Calls:
    bucket, stream, transport = place.bucket, place.stream, place.transport
    subject, target = on(stream, "b"), on(stream, "c")
    return {
        "bucket.update": lambda: bucket.update("a", b"2", place.revision),
        "bucket.put": lambda: bucket.put("a", b"3"),
        "bucket.create": lambda: bucket.create("b", b"2"),
        "bucket.write_many": lambda: bucket.write_many([Write("c", b"2"), Write("d", b"2")]),
        "bucket.delete": lambda: bucket.delete("a"),
        "bucket.purge": lambda: bucket.purge("a"),
        "stream.publish": lambda: stream.publish(subject, b"2"),
        "stream.publish_many": lambda: stream.publish_many([Outgoing(subject, b"2"), Outgoing(subject, b"3")]),
        "stream.schedule": lambda: stream.schedule(subject, b"2", target=target, at=transport.now() + 60),
        "stream.consumer": lambda: stream.consumer(ConsumerConfig(name="another")),
        "new bucket": lambda: transport.bucket(BucketConfig(name=place.new)),
        "new stream": lambda: transport.stream(StreamConfig(name=place.new, subjects=(place.new,))),
    }


def _removals(place: Place) -> Calls:
    transport, bucket, stream = place.transport, place.bucket, place.stream
    return {
        "delete_bucket of the new": lambda: transport.delete_bucket(place.new),
        "delete_stream of the new": lambda: transport.delete_stream(place.new),
        "stream.delete": lambda: stream.delete(1),
        "stream.purge": stream.purge,
        "stream.delete_consumer": lambda: stream.delete_consumer(place.consumer.config.name),
        "delete_bucket": lambda: transport.delete_bucket(bucket.config.name),
        "delete_stream": lambda: transport.delete_stream(stream.config.name),
    }
