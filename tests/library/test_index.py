"""The index of jobs: what expires, what is lost and read anew, and that nothing waits for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.flow.store import open_store
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.keys import job_key, response_key
from osapi.rules.records import ANY_SLOT
from tests.library import operations as ops
from tests.library.operations import operations
from tests.rules.builders import definition, record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.flow.store import Store
    from osapi.transport import Transport
    from tests.library.conftest import World


async def stored(store: Store, number: int, *, status: osapi.SlotStatus | None = None, **changes: Any) -> str:
    """Write a job as a client and an agent would, without either."""
    now = store.now()
    fields = {"id": f"{number:08x}", "created": now, "finish_by": now + 60.0, "expires": now + 3600.0, **changes}
    job = definition(**fields)
    await store.jobs.create(job_key(job.id), DEFINITION.encode(job), ttl=store.ttl(job))
    if status is not None:
        told = record(status, job=job.id, updated=now)
        key = response_key(job.origin, job.id, ANY_SLOT)
        await store.responses.create(key, RECORD.encode(told), ttl=store.ttl(job))
    return job.id


@pytest.fixture
async def store(transport: Transport, world: World) -> Store:
    return await open_store(transport, world.settings)


def ids(found: Any) -> Sequence[str]:
    return [row.id for row in found.rows]


async def test_what_was_there_and_what_comes(world: World, store: Store) -> None:
    old = await stored(store, 1, status=osapi.SlotStatus.FAILED, operation="test.old")
    async with world.client() as client, world.agent("a"):
        index = await client.index()
        assert await client.index() is index
        handle = await client.submit("test.hostname.get", target="a")
        row = index.row(handle.id)
        assert row is not None
        assert (row.status, row.hosts, row.created) == ("submitted", ("a",), handle.definition.created)
        await handle.result()
        assert ids(index.find()) == [handle.id, old]
        assert ids(index.find(status="completed", operation="test.hostname.get", target="a")) == [handle.id]
        assert index.find(operation="test.old", since=0.0, until=1e12, offset=1) == (1, [])
        counts = index.counts()
        assert (counts[osapi.JobStatus.COMPLETED], counts[osapi.JobStatus.FAILED], sum(counts.values())) == (1, 1, 2)
        total, (job,) = await index.list(status="completed")
        assert (total, job.id, job.status) == (1, handle.id, "completed")
        await client.delete(handle.id)
        assert ids(index.find()) == [old]
        assert index.row(handle.id) is None


async def test_nothing_announces_the_end_of_a_lifetime(autojump_clock: object, world: World, store: Store) -> None:
    async with world.client() as client:
        index = await client.index()
        await stored(store, 1, expires=store.now() + 100.0)
        await stored(store, 2, status=osapi.SlotStatus.COMPLETED)
        # Its entry was told of, and it is still stored; its lifetime is what its definition says.
        await store.jobs.put(job_key("03"), DEFINITION.encode(definition(id="03", expires=store.now() + 10.0)))
        assert index.find().total == 3
        await trio.sleep(10.5)
        assert (await store.jobs.get(job_key("03"))) is not None
        assert ids(index.find()) == ["00000002", "00000001"]
        await trio.sleep(100)
        assert ids(index.find()) == ["00000002"]
        await trio.sleep(3600)
        assert sum(index.counts().values()) == 0


async def test_what_nobody_asks_for_is_dropped_all_the_same(autojump_clock: object, world: World, store: Store) -> None:
    async with world.client() as client:
        index = await client.index()
        for number in range(1000):
            await stored(store, number, expires=store.now() + 100.0)
        assert index.find().total == index.size == 1000
        await trio.sleep(110)
        # What is left are the markers, for as long as something older could still come.
        await trio.sleep(3700)
        assert index.size == 0


async def test_reading_many_jobs_holds_nothing_up(world: World, store: Store) -> None:
    for number in range(5000):
        await stored(store, number, status=osapi.SlotStatus.COMPLETED)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with world.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        index = await client.index()
        assert index.find().total == 5000
        nursery.cancel_scope.cancel()
    # Ten thousand entries by two hundred.
    assert turns >= 25


async def test_who_is_cancelled_while_it_is_read_does_not_stop_it(world: World, store: Store) -> None:
    for number in range(1000):
        await stored(store, number)
    async with world.client() as client:
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.index()
        assert scope.cancelled_caught
        with trio.fail_after(20):
            assert (await client.index()).find().total == 1000


async def test_an_outage_is_made_up_for(autojump_clock: object, world: World, store: Store) -> None:
    async with world.broker.connect() as wire, osapi.Client(wire, operations, settings=world.settings) as client:
        index = await client.index()
        kept, removed = await stored(store, 1), await stored(store, 2)
        assert ids(index.find()) == [removed, kept]
        wire.disconnect()
        await store.jobs.purge(job_key(removed))
        late = await stored(store, 3, status=osapi.SlotStatus.COMPLETED)
        await trio.sleep(30)
        assert ids(index.find()) == [removed, kept]
        wire.reconnect()
        await trio.sleep(1)
        assert ids(index.find()) == [late, kept]
        assert index.counts()[osapi.JobStatus.COMPLETED] == 1


async def test_a_lost_watch_is_opened_anew(
    autojump_clock: object, world: World, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    index = osapi.JobIndex(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(index.run)
        await index.loaded()
        await stored(store, 1, status=osapi.SlotStatus.COMPLETED)
        assert index.counts()[osapi.JobStatus.COMPLETED] == 1
        with caplog.at_level(logging.WARNING, "osapi.index"):
            await store.transport.delete_bucket(world.settings.response_bucket)
            await trio.sleep(5)
        assert "read anew" in caplog.text
        # Its record is gone with the bucket.
        await index.loaded()
        assert index.counts()[osapi.JobStatus.SUBMITTED] == 1
        nursery.cancel_scope.cancel()


async def test_a_client_with_an_index_ends_as_any_other(world: World) -> None:
    with pytest.raises(osapi.ClosedError):
        async with world.client() as client, world.broker.connect() as wire:
            await client.index()
            await wire.delete_bucket(world.settings.response_bucket)
            await trio.sleep_forever()


async def test_what_cannot_be_read_is_passed_over(world: World, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    await store.jobs.put(job_key("01"), b"{")
    await store.jobs.put(job_key("02"), DEFINITION.encode(replace(definition(id="02"), v=2)))
    await store.responses.put("x.y.z", b"null")
    good = await stored(store, 3)
    with caplog.at_level(logging.WARNING, "osapi.index"):
        async with world.client() as client:
            assert ids((await client.index()).find()) == [good]
    assert len(caplog.records) == 3


@pytest.mark.parametrize("wanted", [{"limit": 0}, {"limit": 10_001}, {"offset": -1}, {"status": "gone"}])
async def test_questions_that_cannot_be(world: World, wanted: Any) -> None:
    async with world.client() as client:
        with pytest.raises(osapi.InvalidSettingError):
            (await client.index()).find(**wanted)


async def test_the_list_without_an_index_reads_as_far_back_as_it_takes(world: World, store: Store) -> None:
    async with world.client() as client:
        for number in range(400):
            status = osapi.SlotStatus.FAILED if number % 100 == 5 else osapi.SlotStatus.COMPLETED
            await stored(store, number, status=status)
        await client.delete(f"{398:08x}")
        assert [int(job.id, 16) for job in await client.list(limit=3)] == [399, 397, 396]
        assert [int(job.id, 16) for job in await client.list(limit=3, offset=300)] == [98, 97, 96]
        assert await client.list(limit=3, offset=399) == []
        assert [int(job.id, 16) for job in await client.list(status="failed", limit=9)] == [305, 205, 105, 5]
        assert [int(job.id, 16) for job in await client.list(status="failed", limit=2, offset=1)] == [205, 105]


async def test_a_job_that_comes_while_the_list_is_read_moves_nothing(world: World, store: Store) -> None:
    for number in range(300):
        await stored(store, number)
    async with world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(1.0))
        listed = [job.id for job in await client.list(limit=200)]
        assert listed[0] == handle.id
        assert [int(job_id, 16) for job_id in listed[1:]] == list(range(299, 100, -1))
