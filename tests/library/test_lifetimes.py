"""Promise 5: nothing outlives its job, and what comes late is acknowledged and recorded, never executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import osapi
from osapi import SlotStatus
from osapi.settings import job_bucket, response_bucket, stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_definition_notification_and_result_share_one_lifetime(autojump_clock: object, world: World) -> None:
    settings = world.settings
    async with world.broker.connect() as wire, world.client() as client:
        jobs, answers = await wire.bucket(job_bucket(settings)), await wire.bucket(response_bucket(settings))
        stream = await wire.stream(stream_config(settings))
        handle = await client.submit("test.flaky", ops.Flaky(failures=1), within=3000.0)
        await trio.sleep(1800)
        async with world.agent("a"):
            await handle.result()
        await trio.sleep(1700)
        assert (await jobs.info()).keys == 1
        assert (await answers.info()).keys == 1
        assert (await stream.info()).messages > 0
        await trio.sleep(110)
        assert (await jobs.info()).keys == 0
        assert (await answers.info()).keys == 0
        assert (await stream.info()).messages == 0
        assert await client.list() == []


async def test_a_deleted_job_is_acknowledged_and_not_executed(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client:
        handle = await client.submit("test.hostname.get")
        jobs = await wire.bucket(job_bucket(world.settings))
        await jobs.purge(f"jobs.{handle.id}")
        async with world.agent("a") as agent:
            await trio.sleep(30)
            assert agent.counters.late == 1
            stream = await wire.stream(stream_config(world.settings))
            assert [info.ack_pending for info in await stream.consumers()] == [0, 0]
    assert ops.started[handle.id, "a"] == 0


async def test_deleting_withdraws_the_notification_and_the_schedule(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client:
        stream = await wire.stream(stream_config(world.settings))
        waiting = await client.submit("test.hostname.get")
        await client.delete(waiting.id)
        assert (await stream.info()).messages == 0
        async with world.agent("a") as agent:
            retrying = await client.submit("test.flaky", ops.Flaky(failures=1))
            await trio.sleep(1)
            await client.delete(retrying.id)
            assert (await stream.info()).messages == 0
            await trio.sleep(100)
            assert agent.counters.late == 0


async def test_an_expired_job_is_recorded_by_the_agent_that_hears_of_it_late(
    autojump_clock: object, world: World
) -> None:
    async with world.broker.connect() as wire:
        async with world.client() as client:
            handle = await client.submit("test.hostname.get", within=5.0)
        await trio.sleep(10)
        async with world.agent("a") as agent:
            await trio.sleep(1)
            assert agent.counters.slots[SlotStatus.EXPIRED] == 1
        answers = await wire.bucket(response_bucket(world.settings))
        assert len(await answers.keys()) == 1
    assert ops.started[handle.id, "a"] == 0


async def test_what_runs_when_its_job_is_deleted_has_its_answer_refused(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.agent("a") as agent, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        await trio.sleep(1)
        await client.delete(handle.id)
        await trio.sleep(10)
        assert agent.counters.lost == 1
        answers = await wire.bucket(response_bucket(world.settings))
        assert await answers.keys() == []


async def test_settings_that_agree_on_one_lifetime_are_all_there_is() -> None:
    settings = osapi.Settings(job_ttl=600.0)
    assert stream_config(settings).max_age == job_bucket(settings).ttl == response_bucket(settings).ttl == 600.0
