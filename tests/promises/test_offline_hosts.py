"""Hosts that are known and away: their jobs wait for them; hosts that nobody knows are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import osapi
from osapi import JobStatus, SlotStatus
from osapi.settings import job_bucket, own_consumer, stream_config
from tests.library import operations as ops
from tests.promises.conftest import until

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def gone(client: osapi.Client, host: str) -> None:
    await until(lambda: all(agent.hostname != host for agent in client.fleet.registered()))


async def test_a_job_waits_for_its_host(world: World) -> None:
    async with world.client() as client:
        async with world.agent("web-01"):
            pass
        await gone(client, "web-01")
        handle = await client.submit("test.hostname.get", target="web-01")
        assert handle.status() is JobStatus.SUBMITTED
        async with world.agent("web-01"):
            assert (await handle.result())["web-01"].status is SlotStatus.COMPLETED
    assert ops.started[handle.id, "web-01"] == 1


async def test_also_when_its_consumer_is_gone_meanwhile(world: World) -> None:
    async with world.client(operations=None) as client, world.connect() as wire:
        async with world.agent("web-01"):
            pass
        await gone(client, "web-01")
        stream = await wire.stream(stream_config(world.settings))
        handles = [await client.submit("test.hostname.get", target="web-01") for _ in range(3)]
        name = own_consumer(world.settings, "agent-web-01", ()).name
        assert await stream.delete_consumer(name)
        async with world.agent("web-01"):
            for handle in handles:
                assert (await handle.result())["web-01"].status is SlotStatus.COMPLETED
        jobs = await wire.bucket(job_bucket(world.settings))
        assert list(await jobs.keys("waiting.>")) == []
    assert [ops.finished[handle.id, "web-01"] for handle in handles] == [1, 1, 1]


async def test_it_waits_until_start_by(world: World) -> None:
    async with world.client() as client:
        async with world.agent("web-01"):
            pass
        await gone(client, "web-01")
        handle = await client.submit("test.hostname.get", target="web-01", start_within=0.2)
        answer = (await handle.result())["web-01"]
        assert answer.status is SlotStatus.UNREACHABLE
        async with world.agent("web-01"):
            await (await client.submit("test.hostname.get", target="web-01")).result()
    assert (handle.id, "web-01") not in ops.started


async def test_who_is_not_known_is_refused_with_the_nearest_names(world: World) -> None:
    async with world.client() as client:
        async with world.agent("web-01"):
            pass
        await gone(client, "web-01")
        with pytest.raises(osapi.UnknownHostError, match="did you mean web-01"):
            await client.submit("test.hostname.get", target="web-02")
        assert [known.hostname for known in await client.fleet.known()] == ["web-01"]
        await client.fleet.forget("web-01")
        assert await client.fleet.known() == []
        with pytest.raises(osapi.UnknownHostError):
            await client.submit("test.hostname.get", target="web-01")


async def test_a_broadcast_is_not_for_those_who_are_away(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        async with world.agent("b"):
            pass
        await gone(client, "b")
        handle = await client.submit("test.hostname.get", target="_all")
        assert handle.expected == ("a",)
        await handle.result()
