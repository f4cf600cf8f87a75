"""A delayed job is there at once, runs when it is due and not before, and ends as any other does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus, SlotStatus
from osapi.rules.records import ANY_SLOT
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.promises.conftest import World

DELAY = 0.5
# Until then something is done, on a machine that may be slow.
LATER = 2.0


def due(handle: osapi.JobHandle) -> float:
    assert handle.definition.due is not None
    return handle.definition.due


def started(handle: osapi.JobHandle) -> list[float]:
    return [record.claimed for record in handle.records.values()]


async def test_it_is_there_at_once_and_runs_when_it_is_due(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.hostname.get", delay=LATER)
        assert due(handle) == handle.definition.created + LATER
        job = await client.get(handle.id)
        assert (job.status, [job.id for job in await client.list()]) == (JobStatus.SUBMITTED, [handle.id])
        assert ", due 20" in job.timeline[0].message
        assert (await handle.result())["a"].status is SlotStatus.COMPLETED
    assert min(started(handle)) >= due(handle)
    assert handle.definition.finish_by == due(handle) + world.settings.within


async def test_its_hosts_are_frozen_when_it_is_submitted(world: World) -> None:
    targets = ("_all", "group:web", "group:web,!host:z", "!host:c", "a")
    web = {"labels": {"group": "web"}}
    async with world.agent("a", **web), world.agent("b", **web), world.client() as client:
        handles = [await client.submit("test.hostname.get", target=target, delay=DELAY) for target in targets]
        async with world.agent("later", **web):
            for handle in handles:
                answers = await handle.result()
                assert [*answers] == [*(handle.expected or ())]
                assert "later" not in answers
                assert min(started(handle)) >= due(handle)


async def test_one_of_a_label_takes_it(world: World) -> None:
    async with world.client() as client:
        async with world.agent("a", labels={"group": "web"}):
            handle = await client.submit("test.hostname.get", target="_any@group:web", delay=DELAY)
            assert [*await handle.result()] == ["a"]
    assert min(started(handle)) >= due(handle)


async def test_cancelled_before_it_is_due_it_never_starts(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.hostname.get", delay=LATER)
        job = await client.cancel(handle.id, by="alice")
        assert job.status is JobStatus.CANCELLED
        later = await client.submit("test.hostname.get", delay=LATER)
        await later.result()
    assert (handle.id, "a") not in ops.started


async def test_its_deadlines_count_from_when_it_is_due(world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.hostname.get", delay=DELAY, start_within=0.2, within=5.0)
        assert handle.definition.start_by == due(handle) + 0.2
        answer = (await handle.result())[ANY_SLOT]
    assert answer.status is SlotStatus.EXPIRED
    assert handle.records[ANY_SLOT].updated >= due(handle) + 0.2


async def test_a_host_that_comes_back_early_waits_for_it(world: World) -> None:
    async with world.client() as client:
        async with world.agent("a"):
            await (await client.submit("test.hostname.get", target="a")).result()
        while client.fleet.registered():
            await trio.sleep(0.01)
        handle = await client.submit("test.hostname.get", target="a", delay=DELAY)
        async with world.agent("a"):
            assert (await handle.result())["a"].status is SlotStatus.COMPLETED
    assert min(started(handle)) >= due(handle)


async def test_the_same_key_is_the_same_job_whatever_the_delay(world: World) -> None:
    async with world.agent("a"), world.client() as one, world.client() as two:
        first = await one.submit("test.echo", 1, key="k", delay=DELAY)
        again = await two.submit("test.echo", 1, key="k")
        assert (again.id, due(again)) == (first.id, due(first))
        await again.result()
        assert min(started(again)) >= due(first)


async def test_a_retry_of_it_is_due_at_once(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.hostname.get", delay=DELAY, within=5.0, start_within=4.0)
        await handle.result()
        again = await client.retry(handle.id)
        await again.result()
    assert again.definition.due is None
    assert again.definition.finish_by - again.definition.created == pytest.approx(5.0)
    assert (again.definition.start_by or 0.0) - again.definition.created == pytest.approx(4.0)


@pytest.mark.parametrize(("delay", "within"), [(-1.0, 1.0), (float("nan"), 1.0), (55.0, 10.0), (float("inf"), 1.0)])
async def test_what_outlives_the_lifetime_of_jobs_is_refused(world: World, delay: float, within: float) -> None:
    async with world.agent("a"), world.client() as client:
        with pytest.raises(osapi.InvalidSettingError, match=r"is kept for 60 s \(job_ttl\); use 0 to"):
            await client.submit("test.hostname.get", delay=delay, within=within)
        assert await client.list() == []
