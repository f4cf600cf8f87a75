"""The changes of all jobs and agents: each once, from any position on, for any number of readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi.changes import MAX_BEHIND
from osapi.flow.store import open_store
from tests.library import operations as ops
from tests.library.operations import operations
from tests.library.test_index import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.library.conftest import World


async def take(changes: osapi.Changes, count: int) -> Sequence[osapi.JobChange | osapi.AgentChange]:
    with trio.fail_after(100):
        return [await anext(changes) for _ in range(count)]


def statuses(changes: Sequence[osapi.JobChange | osapi.AgentChange]) -> Sequence[str]:
    return [change.status for change in changes]


async def nothing_more(changes: osapi.Changes) -> None:
    with trio.move_on_after(5) as scope:
        await anext(changes)
    assert scope.cancelled_caught


async def test_jobs_and_agents_as_it_happens(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        first, second = await client.changes(), await client.changes()
        async with world.agent("a"):
            handle = await client.submit("test.sleep", ops.Sleep(1.0))
            await handle.result()
            told = await take(first, 4)
        assert told[0] == osapi.AgentChange(hostname="a", state="Ready", status="Ready")
        assert statuses(told[1:]) == ["submitted", "processing", "completed"]
        last = told[-1]
        assert isinstance(last, osapi.JobChange)
        assert (last.job_id, last.operation, last.target) == (handle.id, "test.sleep", "_any")
        assert last.at == handle.records["_any"].updated
        leaving = await take(first, 2)
        assert leaving == [
            osapi.AgentChange(hostname="a", state="Draining", status="Ready"),
            osapi.AgentChange(hostname="a", state="Draining", status="NotReady"),
        ]
        assert list(await take(second, 6)) == [*told, *leaving]
        await nothing_more(first)


async def test_heartbeats_and_renewed_leases_are_no_news(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a"):
        await client.submit("test.sleep", ops.Sleep(1000.0), within=2000.0)
        changes = await client.changes()
        await trio.sleep(100)
        assert client.fleet.registration("a").heartbeat > 0
        await nothing_more(changes)
        await client.fleet.drain("a")
        await trio.sleep(30)
        drained = await take(changes, 1)
        assert drained == [osapi.AgentChange(hostname="a", state="Draining", status="Ready")]


async def test_from_any_position_on_nothing_is_missed_or_repeated(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a"):
        changes = await client.changes()
        positions, told = [changes.position], list[object]()
        for _ in range(3):
            await (await client.submit("test.hostname.get")).result()
        for _ in range(9):
            told.append(await anext(changes))
            positions.append(changes.position)
        assert len(set(positions)) == 10
        for number, position in enumerate(positions):
            again = await client.changes(position)
            assert list(await take(again, 9 - number)) == told[number:]
            assert again.position == positions[-1]
            await nothing_more(again)


async def test_another_client_tells_what_may_have_changed_since(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b"):
        old = await client.submit("test.hostname.get")
        await old.result()
        changes = await client.changes()
        position = changes.position
        running = await client.submit("test.sleep", ops.Sleep(1000.0), target="b")
        await trio.sleep(1)
    async with world.client() as client, world.agent("a"):
        again = await client.changes(position)
        assert again.position == position
        told = await take(again, 3)
        (job,) = [change for change in told if isinstance(change, osapi.JobChange)]
        assert job.job_id == running.id
        assert [(agent.hostname, agent.status) for agent in told if isinstance(agent, osapi.AgentChange)] == [
            ("a", "Ready"),
            ("b", "NotReady"),
        ]
        assert again.position != position
        await nothing_more(again)
        await nothing_more(await client.changes(again.position))


async def test_who_is_too_far_behind_is_told_so_and_goes_on(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, osapi.Client(wire, operations, settings=world.settings) as client:
        store = await open_store(wire, world.settings)
        changes = await client.changes()
        for number in range(MAX_BEHIND + 1):
            await stored(store, number)
        await trio.sleep(1)
        with pytest.raises(osapi.LimitReachedError, match="4096"):
            await anext(changes)
        again = await client.changes(changes.position)
        told = await take(again, MAX_BEHIND + 1)
        assert {change.job_id for change in told if isinstance(change, osapi.JobChange)} == {
            f"{number:08x}" for number in range(MAX_BEHIND + 1)
        }
        await nothing_more(again)


async def test_what_changed_while_a_watch_was_lost_is_told(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.broker.connect() as other:
        store = await open_store(wire, world.settings)
        away = await open_store(other, world.settings)
        index = osapi.JobIndex(store)
        told: list[osapi.JobChange] = []
        index.on_change = told.append
        async with trio.open_nursery() as nursery:
            nursery.start_soon(index.run)
            await index.loaded()
            await stored(away, 1)
            await trio.sleep(1)
            assert [change.job_id for change in told] == ["00000001"]
            # Its watch ends, and before it is opened anew there is another job.
            await store.transport.delete_bucket(world.settings.response_bucket)
            await trio.sleep(0.5)
            await stored(away, 2)
            assert len(told) == 1
            await trio.sleep(5)
            assert [change.job_id for change in told] == ["00000001", "00000002"]
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "position", ["x", "0123456789abcdef-1-2", "0123456789abcdef-1-2-3-4", "\ud800", "0" * 16 + "--1-0-0"]
)
async def test_positions_that_nobody_was_told(world: World, position: str) -> None:
    async with world.client() as client:
        with pytest.raises(osapi.InvalidSettingError):
            await client.changes(position)
