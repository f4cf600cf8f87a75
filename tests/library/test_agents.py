"""Agents coming and going: names, heartbeats, draining, stopping, and what they leave to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel

import osapi
from osapi import SlotStatus
from osapi.rules.keys import waiting_key
from osapi.settings import job_bucket, stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_two_agents_may_not_have_one_hostname(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.HostnameTakenError, match="'web-01': another agent answers to it"):
            async with world.agent("WEB-01"):
                pytest.fail("it was let in")
        assert list(await (await client.submit("test.hostname.get", target="web-01")).result()) == ["web-01"]


async def test_two_that_start_at_once_are_told_apart(autojump_clock: object, world: World) -> None:
    outcomes: list[str] = []

    async def live() -> None:
        try:
            async with world.agent("web-01"):
                outcomes.append("in")
                await trio.sleep(100)
        except osapi.HostnameTakenError:
            outcomes.append("taken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        nursery.start_soon(live)
    assert sorted(outcomes) == ["in", "taken"]


async def test_an_agent_that_was_killed_can_be_started_again_before_its_entry_expires(
    autojump_clock: object, world: World
) -> None:
    async with world.mortal("web-01") as mortal, world.client() as client:
        mortal.kill()
        began = trio.current_time()
        async with world.agent("web-01"):
            assert trio.current_time() - began == pytest.approx(15.0, abs=0.5)
            assert list(await (await client.submit("test.hostname.get", target="web-01")).result()) == ["web-01"]


async def test_an_agent_that_is_replaced_ends_with_an_error(autojump_clock: object, world: World) -> None:
    with pytest.raises(osapi.HostnameTakenError):
        async with world.broker.connect() as transport:
            async with osapi.Agent(transport, ops.operations, hostname="web-01", settings=world.settings):
                transport.disconnect()
                await trio.sleep(40)
                async with world.agent("web-01"):
                    transport.reconnect()
                    await trio.sleep(100)


async def test_an_agent_that_was_away_for_long_comes_back_to_the_roster(autojump_clock: object, world: World) -> None:
    async with world.mortal("web-01") as mortal, world.client() as client:
        mortal.transport.disconnect()
        await trio.sleep(60)
        assert list(client.fleet.registered()) == []
        mortal.transport.reconnect()
        await trio.sleep(15)
        assert [agent.hostname for agent in client.fleet.registered()] == ["web-01"]
        assert list(await (await client.submit("test.hostname.get", target="web-01")).result()) == ["web-01"]


async def test_heartbeats_keep_an_agent_on_the_roster_and_silence_removes_it(
    autojump_clock: object, world: World
) -> None:
    async with world.mortal("web-01") as mortal, world.client() as client:
        await trio.sleep(300)
        assert [agent.hostname for agent in client.fleet.registered()] == ["web-01"]
        mortal.kill()
        await trio.sleep(31)
        assert list(client.fleet.registered()) == []


async def test_leaving_drains_what_runs(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        async with world.agent("a"):
            handle = await client.submit("test.sleep", ops.Sleep(5.0))
            await trio.sleep(1)
        assert handle.records["_any"].status is SlotStatus.COMPLETED


async def test_while_it_drains_it_takes_nothing_and_says_so(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", max_jobs=1) as agent:
        running = await client.submit("test.sleep", ops.Sleep(5.0))
        await trio.sleep(1)
        waiting = await client.submit("test.hostname.get", target="a")
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.drain)
            await trio.sleep(1)
            assert client.fleet.registration("a").state == "Draining"
            assert agent.active == 1
        assert (await running.result())["a"].status is SlotStatus.COMPLETED
        assert agent.active == 0
        await trio.sleep(60)
        assert not waiting.done


async def test_what_does_not_end_in_time_is_given_back_to_the_others(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("b", max_jobs=1):
        blocker = await client.submit("test.sleep", ops.Sleep(3.0), target="b")
        async with world.agent("a"):
            handle = await client.submit("test.sleep", ops.Sleep(60.0))
            await trio.sleep(1)
            assert handle.records["_any"].host == "a"
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(10.0, abs=0.5)
        await blocker.result()
        answers = await handle.result()
    assert list(answers) == ["b"]
    assert answers["b"].attempts == 2
    assert ("retryable", "a stopped") in [(e.event, e.error) for e in handle.timeline()]


@pytest.mark.parametrize("operation", ["test.sleep", "test.sleep-in-a-nursery"])
async def test_cancelling_gives_back_at_once(autojump_clock: object, world: World, operation: str) -> None:
    async with world.client() as client:
        handle = await client.submit(operation, ops.Sleep(60.0))
        began = trio.current_time() + 1
        with trio.CancelScope() as scope:
            async with world.agent("a"):
                await trio.sleep(1)
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() == pytest.approx(began)
        async with world.agent("b"):
            await trio.sleep(1)
            assert handle.records["_any"].host == "b"
            assert list(await handle.result()) == ["b"]


async def test_an_error_in_the_block_gives_back_too(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(60.0))
        with pytest.raises(RuntimeError):
            async with world.agent("a"):
                await trio.sleep(1)
                raise RuntimeError
        await trio.lowlevel.checkpoint()
        assert (await client.get(handle.id)).records["_any"].status is SlotStatus.RETRYABLE


async def test_a_full_agent_leaves_one_of_n_to_an_idle_one(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", max_jobs=2), world.agent("b", max_jobs=2):
        blockers = [await client.submit("test.sleep", ops.Sleep(50.0), target="a") for _ in range(2)]
        await trio.sleep(1)
        handles = [await client.submit("test.hostname.get") for _ in range(10)]
        began = trio.current_time()
        assert {host for handle in handles for host in await handle.result()} == {"b"}
        assert trio.current_time() - began < 1.0
        for blocker in blockers:
            await blocker.result()


async def test_more_own_jobs_than_slots_wait_their_turn(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", max_jobs=2):
        handles = [await client.submit("test.sleep", ops.Sleep(20.0), target="a") for _ in range(10)]
        for handle in handles:
            assert (await handle.result())["a"].attempts == 1
    assert all(ops.started[handle.id, "a"] == 1 for handle in handles)


async def test_two_consumers_for_each_agent_whatever_its_labels(autojump_clock: object, world: World) -> None:
    """Promise 8."""
    labels = {f"key{n}": "a.b.c.d" for n in range(10)}
    async with world.broker.connect() as wire:
        async with world.agent("a", labels=labels), world.agent("b", labels=labels), world.agent("c"):
            stream = await wire.stream(stream_config(world.settings))
            assert sorted(info.config.name for info in await stream.consumers()) == [
                "agent-a",
                "agent-b",
                "agent-c",
                "any",
            ]


async def test_a_consumer_that_somebody_removes_is_made_anew(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.agent("a"), world.client() as client:
        stream = await wire.stream(stream_config(world.settings))
        assert await stream.delete_consumer("any")
        assert await stream.delete_consumer("agent-a")
        await trio.sleep(5)
        for target in ("_any", "a"):
            assert list(await (await client.submit("test.hostname.get", target=target)).result()) == ["a"]


@pytest.mark.parametrize("target", ["_any", "_all"])
async def test_handlers_run_in_parallel_up_to_max_jobs(autojump_clock: object, world: World, target: str) -> None:
    async with world.client() as client, world.agent("a", max_jobs=5):
        began = trio.current_time()
        handles = [await client.submit("test.sleep", ops.Sleep(1.0), target=target) for _ in range(10)]
        for handle in handles:
            await handle.result()
        assert trio.current_time() - began == pytest.approx(2.0, abs=0.5)


async def test_notes_that_are_none_are_removed_and_the_others_followed(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.client() as client, world.broker.connect() as wire:
        async with world.agent("a"):
            pass
        handle = await client.submit("test.hostname.get", target="a")
        jobs = await wire.bucket(job_bucket(world.settings))
        await jobs.put(waiting_key("a", "0"), b"\xff")
        await jobs.put(waiting_key("a", "1"), b"no subject")
        async with world.agent("a"):
            assert (await handle.result())["a"].status is SlotStatus.COMPLETED
            await trio.sleep(1)
        assert await jobs.keys("waiting.>") == []
    assert caplog.text.count("is no note of a job that waits") == 2
