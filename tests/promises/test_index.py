"""The index of jobs says what the records say, whoever wrote them, on both backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import osapi
from osapi import JobStatus
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.promises.signed import KEYS, keys_of

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_it_agrees_with_what_is_stored(world: World) -> None:
    async with world.client() as client, world.client() as other, world.agent("a"), world.agent("b"):
        early = await other.submit("test.hostname.get")
        await early.result()
        index = await client.index()
        handles = [
            await other.submit("test.hostname.get", target="_all"),
            await other.submit("test.flaky", ops.Flaky(failures=9, error="final"), target="b"),
            await other.submit("test.sleep", ops.Sleep(1000.0), target="a"),
        ]
        for handle in handles[:2]:
            await handle.result()
        await until(lambda: index.counts()[JobStatus.PROCESSING] == 1)
        await until(lambda: index.find().total == 4)
        await until(lambda: index.counts()[JobStatus.SUBMITTED] == 0)
        total, jobs = await index.list()
        assert total == 4
        assert [job.id for job in jobs] == [job.id for job in await client.list()]
        for job in jobs:
            row = index.row(job.id)
            assert row is not None
            assert (row.status, row.operation, row.target) == (
                job.status,
                job.definition.operation,
                job.definition.target,
            )
            assert row.updated == max(record.updated for record in job.records.values())
        await client.cancel(handles[2].id)
        await until(lambda: index.counts()[JobStatus.CANCELLED] == 1)
        await other.delete(handles[0].id)
        await until(lambda: index.row(handles[0].id) is None)
        assert index.find(status="completed").total == 1


async def test_the_list_is_in_pages_newest_first(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handles: list[osapi.JobHandle] = []
        for _ in range(90):
            handles.append(await client.submit("test.hostname.get"))
        with trio.fail_after(60):
            for handle in handles:
                await handle.result()
        ids = [handle.id for handle in reversed(handles)]
        assert [job.id for job in await client.list(limit=100)] == ids
        assert [job.id for job in await client.list(limit=10, offset=75)] == ids[75:85]
        assert [job.id for job in await client.list(status="completed", limit=50, offset=20)] == ids[20:70]


async def test_signed_jobs_are_in_it_and_what_nobody_signed_is_not(world: World) -> None:
    async with world.client(**KEYS) as client, world.client() as stranger, world.agent("a", **keys_of("a")):
        index, changes = await client.index(), await client.changes()
        await stranger.submit("test.hostname.get")
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        await until(lambda: index.counts()[JobStatus.COMPLETED] == 1)
        total, (job,) = await index.list()
        assert (total, job.id) == (1, handle.id)
        with trio.fail_after(20):
            assert (await anext(changes)).status in {"submitted", "completed"}
