"""Drained agents take no jobs, before and after a restart, until they are told to; what runs ends as it would have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.promises.test_dead_letters import letters

if TYPE_CHECKING:
    from tests.promises.conftest import World


def state(client: osapi.Client, host: str) -> str:
    return next((agent.state for agent in client.fleet.registered() if agent.hostname == host), "")


async def test_what_runs_ends_and_nothing_is_taken(world: World) -> None:
    async with world.client() as client, world.agent("a") as agent:
        running = await client.submit("test.sleep", ops.Sleep(3.0), target="a")
        await until(lambda: agent.active == 1)
        assert await client.fleet.drain("A", by="alice")
        assert not await client.fleet.drain("a")
        await until(lambda: state(client, "a") == "Draining")
        waiting = await client.submit("test.hostname.get", target="a")
        async with world.agent("b"):
            assert list(await (await client.submit("test.hostname.get")).result()) == ["b"]
        assert (await running.result())["a"].status is SlotStatus.COMPLETED
        await until(lambda: state(client, "a") == "Cordoned")
        assert not waiting.done
        assert await client.fleet.undrain("a")
        assert not await client.fleet.undrain("a")
        assert (await waiting.result())["a"].status is SlotStatus.COMPLETED
        await until(lambda: state(client, "a") == "Ready")


async def test_it_survives_a_restart(world: World) -> None:
    async with world.client() as client:
        async with world.agent("a"):
            await client.fleet.drain("a")
            await until(lambda: state(client, "a") == "Cordoned")
        assert not await client.fleet.drain("a")
        async with world.agent("a"):
            await until(lambda: state(client, "a") == "Cordoned")
            handle = await client.submit("test.hostname.get", target="a")
            await trio.sleep(0.5)
            assert not handle.done
            await client.fleet.undrain("a")
            assert (await handle.result())["a"].status is SlotStatus.COMPLETED
    assert ops.started[handle.id, "a"] == 1


async def test_what_may_run_once_is_not_given_back(world: World) -> None:
    once = osapi.Operations()
    started: list[str] = []

    @once.modify("test.once", policy=osapi.Policy(takeovers=0))
    async def run(job: osapi.Job) -> None:
        started.append(job.host)
        await trio.sleep_forever()

    world.settings = replace(world.settings, drain=0.2)
    async with world.client(operations=once) as client:
        async with world.agent("a", operations=once) as agent:
            handle = await client.submit("test.once", target="a")
            await until(lambda: bool(started))
            assert agent.active == 1
        async with world.agent("a", operations=once):
            response = (await handle.result())["a"]
            assert response.status is SlotStatus.FAILED
            assert response.error == "a stopped while it ran; no takeover is left"
            (letter,) = await letters(client, 1)
            assert (letter.job_id, letter.reason) == (handle.id, response.error)
    assert started == ["a"]


async def test_a_drained_agent_leaves_as_any_other(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        await client.fleet.drain("a")
        await until(lambda: state(client, "a") == "Cordoned")
    async with world.client() as client:
        with pytest.raises(osapi.UnknownHostError):
            await client.fleet.drain("nobody")
        with pytest.raises(osapi.InvalidNameError):
            await client.fleet.undrain("no host")
        with pytest.raises(osapi.InvalidSettingError):
            await client.fleet.drain("a", by="x" * 501)
