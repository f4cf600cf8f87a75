"""Promises 1 and 2: one live lease for each attempt, one terminal record, and a stale holder is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus, SlotStatus
from osapi.settings import stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_a_job_ten_times_longer_than_ack_wait_runs_once(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.agent("b"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(100.0))
        ((host, answer),) = (await handle.result()).items()
    assert answer.attempts == 1
    assert answer.seconds == pytest.approx(100.0, abs=0.5)
    assert sum(count for (job, _), count in ops.started.items() if job == handle.id) == 1
    assert ops.finished[handle.id, host] == 1


async def test_a_killed_agents_job_is_taken_over_when_its_lease_ends(autojump_clock: object, world: World) -> None:
    async with world.mortal("a") as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(30.0))
        await trio.sleep(1)
        assert handle.status() is JobStatus.PROCESSING
        mortal.kill()
        async with world.agent("b"):
            ((host, answer),) = (await handle.result()).items()
    assert (host, answer.attempts, answer.status) == ("b", 2, SlotStatus.COMPLETED)
    assert ops.finished[handle.id, "a"] == 0
    assert [(e.event, e.host, e.error) for e in handle.timeline()] == [
        ("submitted", "", ""),
        ("started", "a", ""),
        ("retryable", "a", "a fell silent"),
        ("started", "b", ""),
        ("completed", "b", ""),
    ]


async def test_an_agent_that_was_cut_off_stops_its_handler_and_its_result_is_refused(
    autojump_clock: object, world: World
) -> None:
    async with world.mortal("a") as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(25.0))
        await trio.sleep(1)
        mortal.transport.disconnect()
        async with world.agent("b"):
            await trio.sleep(20)
            assert mortal.agent.counters.lost == 1, "the lease ended after ten seconds, and so did the handler"
            mortal.transport.reconnect()
            ((host, answer),) = (await handle.result()).items()
    assert (host, answer.attempts) == ("b", 2)
    assert ops.finished[handle.id, "a"] == 0
    assert ops.finished[handle.id, "b"] == 1


async def test_takeovers_are_bounded(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(1000.0), policy=osapi.Policy(takeovers=1, timeout=2000))
        for name in ("a", "b"):
            async with world.mortal(name) as mortal:
                await trio.sleep(30)
                mortal.kill()
        async with world.agent("c"):
            ((host, answer),) = (await handle.result()).items()
    assert (host, answer.status, answer.error) == (
        "b",
        SlotStatus.FAILED,
        "b fell silent; no takeover is left",
    )


async def test_a_short_outage_costs_nothing(autojump_clock: object, world: World) -> None:
    async with world.mortal("a") as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(30.0))
        for _ in range(4):
            await trio.sleep(5)
            mortal.transport.disconnect()
            await trio.sleep(2)
            mortal.transport.reconnect()
        answer = (await handle.result())["a"]
    assert (answer.attempts, answer.status) == (1, SlotStatus.COMPLETED)


async def test_a_result_is_written_when_the_broker_comes_back(autojump_clock: object, world: World) -> None:
    async with world.mortal("a") as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(2.0))
        await trio.sleep(1)
        mortal.transport.disconnect()
        await trio.sleep(4)
        assert not handle.done
        mortal.transport.reconnect()
        assert (await handle.result())["a"].attempts == 1


async def test_a_job_that_came_twice_runs_once(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        stream = await wire.stream(stream_config(world.settings))
        await stream.publish(f"jobs.query.any._.{handle.id}", b"")
        await handle.result()
        await stream.publish(f"jobs.query.any._.{handle.id}", b"")
        await trio.sleep(60)
        assert ops.started[handle.id, "a"] == 1
        assert all(info.ack_pending == 0 for info in await stream.consumers())


async def test_a_lease_record_of_somebody_unknown_is_respected(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        await trio.sleep(1)
        job = await client.get(handle.id)
        record = job.records["_any"]
    assert record.host == "a"
    assert record.lease_until > record.claimed
