"""Delayed jobs over long times: groups that nobody listened for, notifications that outlive nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.settings import stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_an_agent_that_comes_long_after_the_notice_hears_of_it(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        first = await client.submit("test.hostname.get", target="_any@group:web", within=3000.0)
        async with world.agent("a", group="web"):
            await first.result()
        await trio.sleep(1700)
        # The notice of the first job ends with that, long before this one is due.
        handle = await client.submit("test.hostname.get", target="_any@group:web", delay=3000.0)
        await trio.sleep(2500)
        async with world.agent("b", group="web"):
            assert [*await handle.result()] == ["b"]


async def test_its_notification_ends_with_the_job(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client:
        stream = await wire.stream(stream_config(world.settings))
        handle = await client.submit("test.hostname.get", delay=3000.0)
        await trio.sleep(3590)
        assert (await stream.info()).messages == 1
        await trio.sleep(20)
        assert (await stream.info()).messages == 0
    assert (handle.id, "a") not in ops.started


async def test_deleting_it_withdraws_it(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.agent("a") as agent, world.client() as client:
        stream = await wire.stream(stream_config(world.settings))
        handle = await client.submit("test.hostname.get", delay=100.0)
        await client.delete(handle.id)
        assert (await stream.info()).messages == 0
        await trio.sleep(200)
        assert agent.counters.late == 0
