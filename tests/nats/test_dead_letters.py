"""Dead letters and the sweeper on a real server: what it tells, what of that counts, and what a restart leaves."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import JobStatus, SlotStatus
from osapi.rules.dead_letters import DELETED
from osapi.rules.keys import any_filter
from osapi.rules.lifecycle import TERMINAL
from osapi.settings import any_consumer, dead_letters_config, job_bucket, registry_bucket, stream_config
from tests.library import operations as ops
from tests.nats.connections import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from osapi.transport import Transport
    from osapi_nats.server import Server

SHORT = osapi.Settings(
    ack_wait=1.0, registry_ttl=2.0, heartbeat=0.5, drain=0.1, job_ttl=60.0, within=20.0, max_bytes=1 << 20
)


@pytest.fixture
async def url(nats_server: str) -> AsyncIterator[str]:
    """Return the URL of a namespace of the test's own, and leave nothing behind."""
    mine = f"{nats_server}/?namespace=dead-{uuid4().hex[:8]}"
    yield mine
    await clear(mine)


async def clear(url: str) -> None:
    async with osapi.connect(url) as transport:
        for bucket in SHORT.buckets:
            await transport.delete_bucket(bucket)
        for stream in (SHORT.stream, SHORT.dead_letter_stream):
            await transport.delete_stream(stream)


@asynccontextmanager
async def client(url: str, settings: osapi.Settings = SHORT) -> AsyncGenerator[osapi.Client]:
    async with osapi.connect(url) as transport, osapi.Client(transport, ops.operations, settings=settings) as client:
        yield client


@asynccontextmanager
async def agent(
    url: str, hostname: str = "a", settings: osapi.Settings = SHORT, **options: Any
) -> AsyncGenerator[None]:
    options = {"operations": ops.operations, **options}
    async with osapi.connect(url) as transport, osapi.Agent(transport, hostname=hostname, settings=settings, **options):
        yield


async def letters(client: osapi.Client, count: int) -> Sequence[osapi.DeadLetter]:
    """Wait until there are so many."""
    found: Sequence[osapi.DeadLetter] = ()
    with trio.fail_after(PATIENCE):
        while True:
            found = await client.dead_letters.list()
            if len(found) >= count:
                break
            await trio.sleep(0.05)
    assert len(found) == count
    return found


async def status(client: osapi.Client, job_id: str) -> dict[str, SlotStatus]:
    return {slot: record.status for slot, record in (await client.get(job_id)).records.items()}


async def ended(client: osapi.Client, job_id: str) -> dict[str, SlotStatus]:
    """Wait until a job has ended, without collecting for it."""
    with trio.fail_after(PATIENCE):
        while True:
            found = await status(client, job_id)
            if found and TERMINAL.issuperset(found.values()):
                return found
            await trio.sleep(0.05)


# --- Dead letters ------------------------------------------------------------------------------------------


async def test_a_job_that_an_agent_refuses(url: str) -> None:
    async with osapi.connect(url) as wire, client(url) as mine:
        jobs = await wire.bucket(job_bucket(SHORT))
        handle = await mine.submit("test.hostname.get")
        await jobs.put(f"jobs.{handle.id}", b'{"v":99}')
        async with agent(url):
            (letter,) = await letters(mine, 1)
        assert letter.reason == "the stored definition has format 99, this osapi reads format 1; upgrade the older side"
        assert (letter.stream, letter.consumer, letter.deliveries) == ("JOBS", "any", 1)
        assert letter.at == pytest.approx(wire.now(), abs=PATIENCE)
        assert (letter.subject, letter.job_id, letter.job) == (f"jobs.query.any._.{handle.id}", handle.id, None)
        await mine.dead_letters.purge(letter.sequence)
        await mine.dead_letters.purge(letter.sequence)
        assert await mine.dead_letters.list() == []


async def test_a_job_whose_deliveries_are_used_up(url: str) -> None:
    settings = replace(SHORT, max_deliver=2)
    async with client(url, settings) as mine:
        handle = await mine.submit("test.hostname.get")
        async with agent(url, settings=settings, operations=osapi.Operations()):
            (letter,) = await letters(mine, 1)
        assert letter.reason == "none of its 2 deliveries was acknowledged (max_deliver)"
        assert (letter.consumer, letter.deliveries) == ("any", 2)
        assert letter.job is not None
        assert (letter.job.id, letter.job.status) == (handle.id, JobStatus.SUBMITTED)


async def test_a_notification_that_only_expired_is_none(url: str) -> None:
    settings = replace(SHORT, job_ttl=2.0, within=2.0, ack_wait=60.0)
    async with osapi.connect(url) as wire, client(url, settings) as mine:
        dead = await wire.stream(dead_letters_config(settings))
        stream = await wire.stream(stream_config(settings))
        consumer = await stream.consumer(any_consumer(settings, any_filter()))
        async with consumer.pull() as pull:
            pull.request(1)
            await mine.submit("test.hostname.get")
            await pull.receive()
            with trio.fail_after(PATIENCE):
                while True:
                    if (await dead.info()).messages:
                        break
                    await trio.sleep(0.05)
        newest = await dead.last(">")
        assert newest is not None
        assert DELETED.encode() in newest.payload
        assert await mine.dead_letters.list() == []


async def test_they_survive_a_restart_of_the_server(private_server: Server) -> None:
    url = private_server.url
    async with client(url) as mine:
        handle = await mine.submit("test.hostname.get")
        async with osapi.connect(url) as wire:
            await (await wire.bucket(job_bucket(SHORT))).put(f"jobs.{handle.id}", b"nonsense")
        async with agent(url):
            before = await letters(mine, 1)
        await private_server.stop()
        await private_server.start()
        assert await mine.dead_letters.list() == before
        other = await mine.submit("test.hostname.get")
        async with osapi.connect(url) as wire:
            await (await wire.bucket(job_bucket(SHORT))).put(f"jobs.{other.id}", b"nonsense")
        async with agent(url):
            assert [letter.job_id for letter in await letters(mine, 2)] == [other.id, handle.id]


async def test_each_namespace_has_its_own(url: str) -> None:
    other = url + "-other"
    async with client(url) as mine, client(other) as theirs, osapi.connect(url) as wire:
        handle = await mine.submit("test.hostname.get")
        await (await wire.bucket(job_bucket(SHORT))).put(f"jobs.{handle.id}", b"nonsense")
        async with agent(other, "b"), agent(url):
            await letters(mine, 1)
            assert await theirs.dead_letters.list() == []
    await clear(other)


# --- The sweeper -------------------------------------------------------------------------------------------


async def test_jobs_end_though_their_client_and_their_agent_are_gone(url: str) -> None:
    async with client(url) as early:
        before = (await early.submit("test.hostname.get", within=0.5)).id
    async with osapi.connect(url) as wire, osapi.Sweeper(wire, settings=SHORT) as sweeper, client(url) as late:
        await until(lambda: sweeper.acting)
        assert await ended(late, before) == {"_any": SlotStatus.EXPIRED}
        async with client(url) as mine, agent(url):
            lost = (await mine.submit("test.sleep", ops.Sleep(60.0), within=5.0)).id
            with trio.fail_after(PATIENCE):
                while True:
                    if await status(late, lost) == {"_any": SlotStatus.RUNNING}:
                        break
                    await trio.sleep(0.01)
        async with client(url) as mine:
            never = (await mine.submit("test.hostname.get", within=1.0)).id
        assert await ended(late, lost) == {"_any": SlotStatus.EXPIRED}
        assert await ended(late, never) == {"_any": SlotStatus.EXPIRED}


async def test_when_the_one_that_acts_leaves_another_takes_over_at_once(url: str) -> None:
    async with osapi.connect(url) as one, osapi.connect(url) as other, trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        first: osapi.Sweeper = await nursery.start(live, one, scope)
        await until(lambda: first.acting)
        async with osapi.Sweeper(other, settings=SHORT) as second:
            await trio.sleep(2 * SHORT.heartbeat)
            assert (first.acting, second.acting) == (True, False)
            scope.cancel()
            await until(lambda: second.acting)
    async with osapi.connect(url) as wire:
        registry = await wire.bucket(registry_bucket(SHORT))
        assert await registry.keys() == []


async def live(wire: Transport, scope: trio.CancelScope, *, task_status: trio.TaskStatus[osapi.Sweeper]) -> None:
    with scope:
        async with osapi.Sweeper(wire, settings=SHORT) as sweeper:
            task_status.started(sweeper)
            await trio.sleep_forever()


async def test_one_that_died_is_replaced_when_its_entry_has_expired(url: str) -> None:
    async with osapi.connect(url) as wire:
        registry = await wire.bucket(registry_bucket(SHORT))
        await registry.create("_sweeper", b"one that was killed")
        async with osapi.Sweeper(wire, settings=SHORT) as sweeper, client(url) as mine:
            job_id = (await mine.submit("test.hostname.get", within=0.5)).id
            assert not sweeper.acting
            await until(lambda: sweeper.acting)
            assert await ended(mine, job_id) == {"_any": SlotStatus.EXPIRED}
            assert mine.fleet.registered() == []


async def test_it_goes_on_after_a_restart_of_the_server(private_server: Server) -> None:
    url = private_server.url
    async with osapi.connect(url) as wire, osapi.Sweeper(wire, settings=SHORT) as sweeper:
        await until(lambda: sweeper.acting)
        await private_server.stop()
        await until(lambda: not sweeper.acting)
        await private_server.start()
        async with client(url) as mine:
            job_id = (await mine.submit("test.hostname.get", within=0.5)).id
        async with client(url) as late:
            assert await ended(late, job_id) == {"_any": SlotStatus.EXPIRED}
        await until(lambda: sweeper.acting)
