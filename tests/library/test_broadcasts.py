"""Promise 3: targets are frozen at submit, and every host on the list ends in a named state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from osapi import JobStatus, SlotStatus
from osapi.settings import stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_an_agent_that_joins_later_never_runs_an_old_broadcast(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web.dev"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(20.0), target="group:web")
        async with world.agent("b", "web.dev"):
            answers = await handle.result()
            await trio.sleep(60)
    assert list(answers) == ["a"]
    assert ops.started[handle.id, "b"] == 0


async def test_an_agent_that_is_not_on_the_list_never_answers(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web.dev"), world.agent("b", "db"), world.client() as client:
        handle = await client.submit("test.hostname.get", target="group:web")
        async with world.broker.connect() as wire:
            stream = await wire.stream(stream_config(world.settings))
            await stream.publish(f"jobs.query.host.b.{handle.id}", b"")
            await trio.sleep(1)
            assert all(info.ack_pending == 0 for info in await stream.consumers())
        assert list(await handle.result()) == ["a"]
        assert (await client.get(handle.id)).records.keys() == {"a"}
    assert ops.started[handle.id, "b"] == 0


async def test_a_host_that_is_gone_ends_as_unreachable(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.mortal("b") as mortal, world.client() as client:
        mortal.kill()
        handle = await client.submit("test.hostname.get", target="_all", within=60.0)
        assert handle.expected == ("a", "b")
        answers = await handle.result()
    assert {host: answer.status for host, answer in answers.items()} == {
        "a": SlotStatus.COMPLETED,
        "b": SlotStatus.UNREACHABLE,
    }
    assert answers["b"].error == "b was gone before it started the job"
    assert handle.status() is JobStatus.PARTIAL_FAILURE


async def test_a_host_that_is_busy_all_the_time_ends_as_expired(autojump_clock: object, world: World) -> None:
    async with world.agent("a", max_jobs=1), world.client() as client:
        blocking = await client.submit("test.sleep", ops.Sleep(100.0), target="a")
        handle = await client.submit("test.hostname.get", target="a", within=30.0)
        answer = (await handle.result())["a"]
        assert (answer.status, answer.error) == (SlotStatus.EXPIRED, "not started by a in time")
        assert (await blocking.result())["a"].status is SlotStatus.COMPLETED
        await trio.sleep(10)
    assert ops.started[handle.id, "a"] == 0


async def test_a_handler_is_cancelled_when_the_jobs_time_is_over(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(100.0), within=20.0)
        answer = (await handle.result())["a"]
    assert (answer.status, answer.error) == (SlotStatus.EXPIRED, "its time was over while it ran")
    assert answer.seconds == pytest.approx(20.0, abs=0.5)
    assert ops.finished[handle.id, "a"] == 0


async def test_nobody_there_ends_as_expired(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.hostname.get", within=5.0)
        answers = await handle.result()
        assert answers["_any"].status is SlotStatus.EXPIRED
        assert answers["_any"].error == "not started by any agent in time"
        assert handle.status() is JobStatus.EXPIRED
        async with world.agent("late"):
            await trio.sleep(5)
    assert ops.started[handle.id, "late"] == 0


async def test_what_a_killed_agent_was_running_ends_as_expired(autojump_clock: object, world: World) -> None:
    async with world.mortal("a") as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(15.0), within=20.0, target="a")
        await trio.sleep(10)
        mortal.kill()
        answer = (await handle.result())["a"]
    assert (answer.status, answer.attempts) == (SlotStatus.EXPIRED, 1)
    assert answer.error == "its time was over, and nobody was running it any more"


async def test_a_retry_that_nobody_makes_ends_as_expired(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        async with world.agent("a"):
            handle = await client.submit("test.flaky", ops.Flaky(failures=1), within=100.0)
            await trio.sleep(1)
        assert (await handle.result())["a"].status is SlotStatus.EXPIRED
