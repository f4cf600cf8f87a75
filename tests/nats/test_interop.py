# pyright: reportUnknownMemberType=false
"""What we store the NATS client of others reads, and the other way round: nats-py's own KeyValue and JetStream."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import nats
import nats.js.errors
import pytest
import trio
from nats.js.api import ConsumerConfig as TheirConsumer
from nats.js.api import DeliverPolicy

import osapi
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue as TheirBucket

    from osapi.transport import Transport

T = TypeVar("T")


@pytest.fixture
async def ours(nats_server: str) -> AsyncIterator[Transport]:
    async with osapi.connect(nats_server) as transport:
        yield transport


@pytest.fixture
def name() -> str:
    return f"interop-{uuid4().hex[:8]}"


async def theirs(url: str, act: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    """Run something with their client, on its own loop in a thread, and return what it found."""

    async def run() -> T:
        client = await nats.connect(url)
        try:
            with_timeout = asyncio.wait_for(act(client.jetstream()), 20)
            return await with_timeout
        finally:
            await client.close()

    return await trio.to_thread.run_sync(partial(asyncio.run, run()))


async def read_all(bucket: TheirBucket) -> list[tuple[str, bytes | None, int | None, str | None]]:
    watcher: Any = await bucket.watchall()
    entries: list[tuple[str, bytes | None, int | None, str | None]] = []
    async for entry in watcher:
        if entry is None:  # so they say that the first set is complete
            break
        entries.append((entry.key, entry.value, entry.revision, entry.operation))
    await watcher.stop()
    return entries


async def test_they_read_our_bucket(ours: Transport, nats_server: str, name: str) -> None:
    bucket = await ours.bucket(BucketConfig(name=name, history=3, storage="memory"))
    await bucket.put("a.b", b"1")
    revision = await bucket.create("created", b"2", ttl=60)
    revision = await bucket.update("created", b"3", revision)
    await bucket.put("deleted", b"x")
    await bucket.delete("deleted")
    await bucket.put("purged", b"x")
    await bucket.purge("purged")

    async def look(js: JetStreamContext) -> dict[str, Any]:
        kv = await js.key_value(name)
        seen: dict[str, Any] = {"all": await read_all(kv), "keys": sorted(await kv.keys())}
        entry = await kv.get("created")
        seen["created"] = entry.value, entry.revision
        seen["history"] = [(one.value, one.operation) for one in await kv.history("deleted")]
        for key in ("deleted", "purged", "never"):
            with pytest.raises(nats.js.errors.KeyNotFoundError):
                await kv.get(key)
        seen["status"] = (await kv.status()).values
        return seen

    seen = await theirs(nats_server, look)
    assert [(key, value, operation) for key, value, _, operation in seen["all"]] == [
        ("a.b", b"1", None),
        ("created", b"3", None),
        ("deleted", b"", "DEL"),
        ("purged", b"", "PURGE"),
    ]
    assert seen["keys"] == ["a.b", "created"]
    assert seen["created"] == (b"3", revision)
    assert seen["history"] == [(b"x", None), (b"", "DEL")]
    assert seen["status"] == (await bucket.info()).values
    await ours.delete_bucket(name)


async def test_a_watch_of_all_that_came_since_has_no_filter(ours: Transport, nats_server: str, name: str) -> None:
    bucket = await ours.bucket(BucketConfig(name=name))

    async def filters(js: JetStreamContext) -> list[object]:
        found = await js.consumers_info(f"KV_{name}")
        return [info.config.filter_subjects or info.config.filter_subject for info in found]

    for patterns, wanted in (((), None), (("a.*",), [f"$KV.{name}.a.*"])):
        since = await bucket.put("a.b", b"1")
        await bucket.put("a.c", b"2")
        async with bucket.watch(*patterns, start=since) as watch:
            assert [entry.key for entry in await watch.receive()] == ["a.c"]
            assert await theirs(nats_server, filters) == [wanted]
            await bucket.put("a.d", b"3")
            assert [entry.key for entry in await watch.receive()] == ["a.d"]


async def test_we_read_what_they_write_in_a_bucket(ours: Transport, nats_server: str, name: str) -> None:
    bucket = await ours.bucket(BucketConfig(name=name, history=3, storage="memory"))

    async def write(js: JetStreamContext) -> dict[str, int]:
        kv = await js.key_value(name)
        told = {"created": await kv.create("created", b"1")}
        told["updated"] = await kv.update("created", b"2", last=told["created"])
        await kv.put("deleted", b"x")
        await kv.delete("deleted")
        await kv.put("purged", b"x")
        await kv.purge("purged")
        told["put"] = await kv.put("a.b", b"3")
        return told

    async with bucket.watch(start="new") as watch:
        told = await theirs(nats_server, write)
        live: list[tuple[str, str]] = []
        with trio.fail_after(10):
            while len(live) < 7:
                live += [(entry.key, entry.change) for entry in await watch.receive()]
    assert live == [
        ("created", "put"),
        ("created", "put"),
        ("deleted", "put"),
        ("deleted", "delete"),
        ("purged", "put"),
        ("purged", "purge"),
        ("a.b", "put"),
    ]
    entry = await bucket.get("created")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", told["updated"])
    assert [(one.value, one.change) for one in await bucket.history("deleted")] == [(b"x", "put"), (b"", "delete")]
    assert [one.change for one in await bucket.history("purged")] == ["purge"]
    assert sorted(await bucket.keys()) == ["a.b", "created"]
    with pytest.raises(osapi.ConflictError):
        await bucket.update("created", b"lost", told["created"])
    assert await bucket.create("deleted", b"again") > told["put"]
    await ours.delete_bucket(name)


async def test_an_expiry_of_ours_is_one_to_them(ours: Transport, nats_server: str, name: str) -> None:
    bucket = await ours.bucket(BucketConfig(name=name, marker_ttl=60, storage="memory"))
    await bucket.put("a", b"1", ttl=1)
    async with bucket.watch(start="new") as watch:
        with trio.fail_after(10):
            (marker,) = await watch.receive()
    assert marker.change == "expire"

    async def create(js: JetStreamContext) -> int:
        # Their `create` takes a marker for a value; by its revision the key can be had.
        kv = await js.key_value(name)
        return await kv.update("a", b"theirs", last=marker.revision)

    revision = await theirs(nats_server, create)
    entry = await bucket.get("a")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"theirs", revision)
    await ours.delete_bucket(name)


async def test_they_consume_what_we_publish(ours: Transport, nats_server: str, name: str) -> None:
    stream = await ours.stream(StreamConfig(name=name, subjects=(f"{name}.>",), storage="memory"))
    consumer = await stream.consumer(ConsumerConfig(name="shared", filters=(f"{name}.a",), ack_wait=30))
    await stream.publish(f"{name}.b", b"not for it")
    await stream.publish(f"{name}.a", b"1", headers={"X-One": "1"}, msg_id="id", ttl=60)
    assert (await stream.publish(f"{name}.a", b"1", msg_id="id")).duplicate
    await stream.publish(f"{name}.a", b"2")

    async def consume(js: JetStreamContext) -> list[tuple[str, bytes, str | None, int]]:
        duplicate = await js.publish(f"{name}.a", b"1", headers={"Nats-Msg-Id": "id"})
        assert duplicate.duplicate
        subscription = await js.pull_subscribe_bind("shared", stream=name)
        first, second = await subscription.fetch(2, timeout=10)
        await first.ack_sync()
        await second.nak()
        (again,) = await subscription.fetch(1, timeout=10)
        await again.ack_sync()
        return [
            (one.subject, one.data, (one.headers or {}).get("X-One"), one.metadata.num_delivered or 0)
            for one in (first, second, again)
        ]

    assert await theirs(nats_server, consume) == [
        (f"{name}.a", b"1", "1", 1),
        (f"{name}.a", b"2", None, 1),
        (f"{name}.a", b"2", None, 2),
    ]
    info = await consumer.info()
    assert (info.pending, info.ack_pending) == (0, 0)
    await ours.delete_stream(name)


async def test_we_consume_what_they_publish_with_a_consumer_of_theirs(
    ours: Transport, nats_server: str, name: str
) -> None:
    stream = await ours.stream(StreamConfig(name=name, subjects=(f"{name}.>",), storage="memory"))

    async def publish(js: JetStreamContext) -> None:
        config = TheirConsumer(
            durable_name="theirs", filter_subject=f"{name}.a", deliver_policy=DeliverPolicy.ALL, ack_wait=20
        )
        await js.add_consumer(name, config)
        await js.publish(f"{name}.a", b"1", headers={"X-One": "1", "Nats-Msg-Id": "id"})
        await js.publish(f"{name}.b", b"2")

    await theirs(nats_server, publish)
    (told,) = await stream.consumers()
    assert (told.config.name, told.config.filters, told.config.ack_wait, told.pending) == (
        "theirs",
        (f"{name}.a",),
        20,
        1,
    )
    consumer = await stream.consumer(told.config)
    async with consumer.pull() as pull:
        pull.request(1)
        with trio.fail_after(10):
            (delivery,) = await pull.receive()
        assert (delivery.subject, delivery.payload, dict(delivery.headers)) == (f"{name}.a", b"1", {"X-One": "1"})
        delivery.ack()
    message = await stream.last(f"{name}.b")
    assert message is not None
    assert message.payload == b"2"
    assert (await stream.publish(f"{name}.a", b"1", msg_id="id")).duplicate
    await ours.delete_stream(name)
