"""Selectors: resolved against the roster when a job is submitted, and told to as few as need to hear."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import SlotStatus
from osapi.rules.keys import parse_notification_subject
from osapi.settings import job_bucket, stream_config
from osapi_memory import Faults
from tests.library import operations as ops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from osapi.transport import Watch
    from osapi_memory.transport import MemoryTransport
    from tests.library.conftest import World

FLEET = {
    "web-01": ("web.dev", "arm64"),
    "web-02": ("web.prod", "amd64"),
    "db-01": ("db.prod", "amd64"),
    "db-02": ("db.dev", "arm64"),
}


@pytest.fixture
async def fleet(world: World) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        for host, (group, arch) in FLEET.items():
            facts = {"arch": arch, "nic": {"names": ["lo", "eth0"]}}
            await stack.enter_async_context(world.agent(host, group, facts=facts))
        yield world


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("host:web-*", ["web-01", "web-02"]),
        ("host:WEB-01", ["web-01"]),
        ("!group:web", ["db-01", "db-02"]),
        ("group:web,!host:*-01", ["web-02"]),
        ("fact.arch:arm64", ["db-02", "web-01"]),
        ("group:db,fact.arch:arm64", ["db-02"]),
        ("fact.nic.names:eth0,!fact.arch:arm64,host:web*", ["web-02"]),
        ("host:*", ["db-01", "db-02", "web-01", "web-02"]),
    ],
)
async def test_who_runs_it(autojump_clock: object, fleet: World, target: str, hosts: list[str]) -> None:
    async with fleet.client() as client:
        handle = await client.submit("test.hostname.get", target=target)
        assert handle.expected == tuple(hosts)
        answers = await handle.result()
        assert {host: answer.unwrap().hostname for host, answer in answers.items()} == {host: host for host in hosts}
        stored = (await client.get(handle.id)).definition
        assert (stored.target, stored.expected) == (target.lower(), tuple(hosts))
        assert [ops.started[handle.id, host] for host in FLEET] == [int(host in hosts) for host in FLEET]


@pytest.mark.parametrize(
    ("target", "routes"),
    [("host:web-01", {"host"}), ("group:web,!host:x", {"host"}), ("!host:web-01", {"all"}), ("host:*", {"all"})],
)
async def test_few_are_told_one_by_one_and_most_all_at_once(
    autojump_clock: object, fleet: World, target: str, routes: set[str]
) -> None:
    async with fleet.client() as client, fleet.broker.connect() as wire:
        handle = await client.submit("test.hostname.get", target=target)
        answers = await handle.result()
        stream = await wire.stream(stream_config(fleet.settings))
        last = (await stream.info()).last_sequence
        kept = [message for sequence in range(1, last + 1) if (message := await stream.get(sequence))]
        told = [parse_notification_subject(message.subject) for message in kept]
        assert {one.route for one in told} == routes
        assert len(told) == (1 if routes == {"all"} else len(answers))
        await client.delete(handle.id)
        assert (await stream.info()).messages == 0


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("group:wep,host:*", "none has group:wep, did you mean group:web"),
        ("group:web,host:web-1", "none has host:web-1, did you mean web-01 or web-02"),
        ("host:*,fact.arch:arm46", "none has fact.arch:arm46, did you mean arm64"),
        ("fact.arhc:arm64", "none has fact.arhc:arm64, did you mean arch"),
        ("fact.rack:4", "none has fact.rack:4"),
        ("group:web,group:db", "none meets all of its requirements at once"),
        ("group:web,!group:web", "none meets all of its requirements at once"),
        ("!host:*", "none meets all of its requirements at once"),
    ],
)
async def test_a_selector_that_matches_nobody_says_what_was_meant(
    autojump_clock: object, fleet: World, target: str, told: str
) -> None:
    async with fleet.client() as client:
        with pytest.raises(osapi.NoAgentsError) as caught:
            await client.submit("test.hostname.get", target=target)
        assert str(caught.value).startswith(f"no agent matches {target}: {told}")
        assert list(await client.list()) == []


async def test_without_any_agent_nobody_matches(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        with pytest.raises(osapi.NoAgentsError, match="no agent matches !group:web: none is registered"):
            await client.submit("test.hostname.get", target="!group:web")


async def test_the_hosts_are_frozen(autojump_clock: object, fleet: World) -> None:
    async with fleet.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(20.0), target="group:web,host:*")
        async with fleet.agent("web-03", "web.dev"):
            assert list(await handle.result()) == ["web-01", "web-02"]
            again = await client.retry(handle.id)
            assert again.expected == ("web-01", "web-02", "web-03")
            await again.result()
    assert ops.started[handle.id, "web-03"] == 0


async def test_retries_reach_the_host_that_they_are_for(autojump_clock: object, fleet: World) -> None:
    async with fleet.client() as client:
        handle = await client.submit("test.flaky", ops.Flaky(failures=2), target="fact.arch:arm64", within=3000.0)
        answers = await handle.result()
    assert {host: (answer.status, answer.attempts) for host, answer in answers.items()} == {
        "db-02": (SlotStatus.COMPLETED, 3),
        "web-01": (SlotStatus.COMPLETED, 3),
    }


async def test_many_are_told_over_a_bad_wire(autojump_clock: object, world: World) -> None:
    async with AsyncExitStack() as stack:
        for number in range(40):
            await stack.enter_async_context(world.agent(f"h-{number:02}", "web" if number % 2 else "db"))
        faults = Faults(seed=1, lose=0.1, duplicate=0.2, delay=0.2, reorder=0.2, uncertain=0.3)
        transport = await stack.enter_async_context(world.broker.connect(faults=faults))
        client = await stack.enter_async_context(osapi.Client(transport, ops.operations, settings=world.settings))
        handle = await client.submit("test.hostname.get", target="group:web,!host:h-01")
        answers = await handle.result()
    assert list(answers) == [f"h-{number:02}" for number in range(3, 40, 2)]
    assert all(answer.status is SlotStatus.COMPLETED for answer in answers.values())


async def test_an_outage_while_they_are_told_delays_it(autojump_clock: object, world: World) -> None:
    async with AsyncExitStack() as stack:
        for number in range(20):
            await stack.enter_async_context(world.agent(f"h-{number:02}", "web" if number < 8 else "db"))
        transport = await stack.enter_async_context(world.broker.connect())
        client = await stack.enter_async_context(osapi.Client(transport, ops.operations, settings=world.settings))
        wire = await stack.enter_async_context(world.broker.connect())
        jobs = await stack.enter_async_context((await wire.bucket(job_bucket(world.settings))).watch(start="new"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(away_once_it_is_written, jobs, transport)
            start = trio.current_time()
            handle = await client.submit("test.hostname.get", target="group:web,host:*")
        assert trio.current_time() - start >= 4
        answers = await handle.result()
    assert [answer.status for answer in answers.values()] == [SlotStatus.COMPLETED] * 8
    assert [ops.started[handle.id, host] for host in answers] == [1] * 8


async def away_once_it_is_written(jobs: Watch, transport: MemoryTransport) -> None:
    await jobs.receive()
    transport.disconnect()
    await trio.sleep(4)
    transport.reconnect()
