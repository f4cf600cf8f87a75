"""Promise 7: the same idempotency key gives the same job; with another payload it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.rules.codec import DEFINITION, HOLDER
from osapi.rules.idempotency import digest, holder_key
from osapi.rules.keys import job_key, notification_subject
from osapi.rules.records import VERSION, Holder
from osapi.settings import job_bucket, response_bucket, stream_config
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.rules.builders import definition

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_the_same_key_is_the_same_job_for_every_client(world: World) -> None:
    async with world.agent("a"):
        async with world.client() as first:
            handle = await first.submit("test.echo", {"x": 1, "y": 2}, key="order 17")
            again = await first.submit("test.echo", {"y": 2, "x": 1}, key="order 17", within=5.0)
            assert again.id == handle.id
            assert (await handle.result())["a"].unwrap() == (await again.result())["a"].unwrap()
        async with world.client() as later:
            follower = await later.submit("test.echo", {"x": 1, "y": 2}, key="order 17")
            assert follower.id == handle.id
            assert (await follower.result())["a"].unwrap() == {"x": 1, "y": 2}
            other = await later.submit("test.echo", {"x": 1, "y": 2}, key="order 18")
            assert other.id != handle.id
            await other.result()


@pytest.mark.parametrize(
    ("operation", "data", "target"), [("test.echo", 2, "_any"), ("test.length", 1, "_any"), ("test.echo", 1, "a")]
)
async def test_another_payload_is_refused(world: World, operation: str, data: object, target: str) -> None:
    async with world.agent("a"), world.client(operations=None) as client:
        handle = await client.submit("test.echo", 1, key="k")
        with pytest.raises(osapi.KeyReusedError, match=handle.id):
            await client.submit(operation, data, target=target, key="k")
        await handle.result()


async def test_many_at_once_are_one(world: World) -> None:
    handles: list[osapi.JobHandle] = []
    async with world.agent("a"), world.client() as one, world.client() as two:

        async def submit(client: osapi.Client) -> None:
            handle = await client.submit("test.hostname.get", key="once")
            await handle.result()
            handles.append(handle)

        async with trio.open_nursery() as nursery:
            for client in (one, two) * 10:
                nursery.start_soon(submit, client)
    assert len({handle.id for handle in handles}) == 1
    assert ops.finished[handles[0].id, "a"] == 1
    assert {handle.records["_any"].attempt for handle in handles} == {1}


async def test_a_submission_that_stopped_halfway_goes_on(world: World) -> None:
    """The first client died after it had taken the key, before it wrote the job."""
    async with world.agent("a"), world.connect() as wire, world.client() as client:
        done = await client.submit("test.echo", 5, key="k")
        await done.result()
        bucket = await wire.bucket(job_bucket(world.settings))
        entry = await bucket.get(holder_key("k"))
        assert entry is not None
        orphan = replace(HOLDER.decode(entry.value), job="0123")
        await bucket.put(holder_key("half"), HOLDER.encode(orphan))
        handle = await client.submit("test.echo", 5, key="half")
        assert handle.id == "0123"
        assert (await handle.result())["a"].unwrap() == 5


async def test_a_deleted_job_frees_its_key(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.echo", 1, key="k")
        await handle.result()
        await client.delete(handle.id)
        other = await client.submit("test.echo", 2, key="k")
        assert (await other.result())["a"].unwrap() == 2


async def test_what_is_too_large_does_not_use_the_key_up(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        with pytest.raises(osapi.PayloadTooLargeError):
            await client.submit("test.length", "x" * (2 << 20), key="k")
        handle = await client.submit("test.length", "x", key="k")
        assert (await handle.result())["a"].unwrap() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
async def test_keys_are_checked(world: World, key: str) -> None:
    async with world.agent("a"), world.client() as client:
        with pytest.raises(osapi.InvalidSettingError, match="idempotency key"):
            await client.submit("test.hostname.get", key=key)


async def test_a_job_of_another_client_can_be_followed(world: World) -> None:
    async with world.agent("a"), world.client() as one, world.client() as two:
        handle = await one.submit("test.sleep", ops.Sleep(0.3), target="_all")
        follower = await two.follow(handle.id)
        told = [event.event async for event in follower.events()]
        assert told == ["submitted", "started", "completed"]
        assert (await follower.result())["a"].status is osapi.SlotStatus.COMPLETED
        assert await two.follow(handle.id) is not follower
        late = await two.follow(handle.id)
        assert late.done
        own = await one.submit("test.sleep", ops.Sleep(0.1))
        assert await one.follow(own.id) is own
        with pytest.raises(osapi.UnknownJobError):
            await two.follow("0")


async def test_a_retry_is_submitted_once_under_a_key_of_its_own(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.echo", 1, key="k")
        await handle.result()
        first, again = [await client.retry(handle.id, key="again") for _ in range(2)]
        assert first.id == again.id != handle.id
        with pytest.raises(osapi.KeyReusedError, match="itself"):
            await client.retry(handle.id, key="k")
        with pytest.raises(osapi.KeyReusedError, match="another operation, target or data"):
            await client.retry(handle.id, target="_all", key="again")
        assert (await client.get(handle.id)).retried_as == first.id


async def test_hosts_that_were_not_told_are_told_by_who_goes_on(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b"):
        await until(lambda: len(client.fleet.registered()) == 2)
        # A submission that stopped after it had told one of two hosts, and that host has answered.
        async with world.connect() as wire:
            jobs = await wire.bucket(job_bucket(world.settings))
            stream = await wire.stream(stream_config(world.settings))
            now = wire.now()
            stopped = definition(
                operation="test.hostname.get",
                target="host:*,!host:zz",
                expected=("a", "b"),
                key="k",
                created=now,
                finish_by=now + 20.0,
                expires=now + 60.0,
            )
            holder = Holder(v=VERSION, job=stopped.id, digest=digest(stopped))
            await jobs.create(holder_key("k"), HOLDER.encode(holder))
            await jobs.create(job_key(stopped.id), DEFINITION.encode(stopped))
            await stream.publish(notification_subject("query", "host", "a", stopped.id), b"")
            responses = await wire.bucket(response_bucket(world.settings))
            with trio.fail_after(20):
                while not await responses.keys():
                    await trio.sleep(0.05)
        handle = await client.submit("test.hostname.get", target="host:*,!host:zz", key="k")
        assert handle.id == stopped.id
        assert {host: answer.status for host, answer in (await handle.result()).items()} == dict.fromkeys(
            "ab", osapi.SlotStatus.COMPLETED
        )
