"""Progress: seen while the job runs, kept in its end, never in the way and never from who has lost the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.rules.codec import RECORD
from osapi.settings import response_bucket
from osapi_memory import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.rules.records import Record
    from osapi.transport import KeyValue, Transport
    from tests.library.conftest import World


def offer(work: Callable[[osapi.Job], Awaitable[object]], **policy: Any) -> tuple[str, osapi.Operations]:
    """Make an operation of a handler, and return its name and a registry with it."""
    operations = osapi.Operations()

    fields: dict[str, Any] = {"timeout": 1000.0, "jitter": 0.0, **policy}

    @operations.query("test.work", policy=osapi.Policy(**fields))
    async def handler(job: osapi.Job) -> Any:
        return await work(job)

    return "test.work", operations


async def answers(world: World, wire: Transport) -> KeyValue:
    return await wire.bucket(response_bucket(world.settings))


async def test_it_is_seen_while_the_job_runs_and_in_its_end(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.progress(0.25, "copying")
        await trio.sleep(10)
        job.progress(None, "restarting")
        await trio.sleep(10)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        start = trio.current_time()
        handle = await client.submit(name)
        seen = [(event.event, event.message, int(trio.current_time() - start)) async for event in handle.events()]
        assert seen == [
            ("submitted", "to _any", 0),
            ("started", "attempt 1", 0),
            ("progress", "25%: copying", 0),
            ("progress", "restarting", 10),
            ("completed", "attempt 1", 20),
        ]
        job = await client.get(handle.id)
    assert [event.event for event in job.timeline] == ["submitted", "started", "progress", "completed"]
    record = job.records["_any"]
    assert (record.progress, record.message) == (None, "restarting")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (ValueError("no"), SlotStatus.FAILED),
        (osapi.Skip("not here"), SlotStatus.SKIPPED),
        (None, SlotStatus.EXPIRED),
    ],
)
async def test_whatever_its_end_a_job_says_how_far_it_came(
    autojump_clock: object, world: World, end: Exception | None, status: SlotStatus
) -> None:
    async def work(job: osapi.Job) -> None:
        job.progress(0.5, "half")
        if end is not None:
            raise end
        await trio.sleep(1000)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name, within=20.0)
        assert (await handle.result())["a"].status is status
    assert (handle.records["_any"].progress, handle.records["_any"].message) == (0.5, "half")


async def test_each_attempt_has_a_progress_of_its_own(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        if job.attempt == 1:
            job.progress(0.75, "copying")
            raise osapi.TransientError("busy")
        await trio.sleep(1)

    name, operations = offer(work, attempts=2)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        await handle.result()
    record = handle.records["_any"]
    assert (record.progress, record.message, record.progressed) == (None, "", 0.0)
    assert [(attempt.progress, attempt.message) for attempt in record.earlier] == [(0.75, "copying")]
    assert [event.event for event in handle.timeline()][1:] == [
        "started",
        "progress",
        "retryable",
        "started",
        "completed",
    ]


async def test_a_thousand_reports_are_some_writes_and_the_last_one_is_told(
    autojump_clock: object, world: World
) -> None:
    async def work(job: osapi.Job) -> None:
        for step in range(1000):
            job.progress(step / 1000)
            await trio.sleep(0.01)

    name, operations = offer(work)
    async with (
        world.agent("a", operations=operations),
        world.client(operations=operations) as client,
        world.broker.connect() as wire,
    ):
        bucket = await answers(world, wire)
        handle = await client.submit(name)
        await handle.result()
        # The claim, 10 seconds of reports, the end.
        assert 40 < (await bucket.info()).revision < 55
    assert handle.records["_any"].progress == 0.999


async def test_the_same_progress_once_more_is_no_report(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for _ in range(100):
            job.progress(0.5, "waiting")
            await trio.sleep(0.02)

    name, operations = offer(work)
    async with (
        world.agent("a", operations=operations),
        world.client(operations=operations) as client,
        world.broker.connect() as wire,
    ):
        await (await client.submit(name)).result()
        assert (await (await answers(world, wire)).info()).revision == 3


async def test_a_broker_that_is_away_keeps_no_handler_waiting(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> float:
        start = trio.current_time()
        for step in range(60):
            job.progress(step / 60)
            await trio.sleep(0.1)
        return trio.current_time() - start

    name, operations = offer(work)
    async with world.mortal("a", operations=operations) as mortal, world.client(operations=operations) as client:
        handle = await client.submit(name)
        await trio.sleep(1)
        mortal.transport.disconnect()
        await trio.sleep(7)
        mortal.transport.reconnect()
        assert (await handle.result())["a"].unwrap() == pytest.approx(6.0)
    assert handle.records["_any"].progress == 59 / 60


async def test_what_is_reported_after_the_end_is_not_stored(autojump_clock: object, world: World) -> None:
    jobs: list[osapi.Job] = []

    async def work(job: osapi.Job) -> None:
        job.progress(0.5)
        jobs.append(job)
        await trio.sleep(1)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        await handle.result()
        before = await client.get(handle.id)
        jobs[0].progress(0.9)
        jobs[0].output("too late")
        await trio.sleep(30)
        assert await client.get(handle.id) == before
    jobs[0].progress(1.0)


@pytest.mark.parametrize("late", [False, True])
async def test_a_first_report_after_the_end_is_not_stored_either(
    autojump_clock: object, world: World, late: bool
) -> None:
    jobs: list[osapi.Job] = []

    async def work(job: osapi.Job) -> None:
        jobs.append(job)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        await handle.result()
        before = await client.get(handle.id)
        if not late:
            jobs[0].progress(0.9)
        await trio.sleep(30)
        assert await client.get(handle.id) == before
    jobs[0].progress(1.0)


async def taken_over(bucket: KeyValue, key: str) -> Record:
    """Do what another agent does that takes a slot over."""
    entry = await bucket.get(key)
    assert entry is not None
    record = RECORD.decode(entry.value)
    taken = replace(record, host="b", attempt=2, lease="b.1", progress=None, message="", progressed=0.0, output=None)
    await bucket.update(key, RECORD.encode(taken), entry.revision)
    return taken


async def test_who_has_lost_the_lease_changes_nothing(autojump_clock: object, world: World) -> None:
    steps: list[int] = []

    async def work(job: osapi.Job) -> None:
        for step in range(100):
            steps.append(step)
            job.progress(step / 100)
            await trio.sleep(1)

    name, operations = offer(work)
    async with (
        world.agent("a", operations=operations) as agent,
        world.client(operations=operations) as client,
        world.broker.connect() as wire,
    ):
        handle = await client.submit(name)
        await trio.sleep(5.5)
        bucket = await answers(world, wire)
        (key,) = await bucket.keys()
        taken = await taken_over(bucket, key)
        await trio.sleep(5)
        assert handle.records["_any"] == taken
        assert agent.counters.lost == 1, "the report found out, long before a renewal was due"
        assert len(steps) < 9


async def test_a_report_renews_the_lease(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        await trio.sleep(2)
        job.progress(0.5)
        await trio.sleep(2)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        await trio.sleep(1)
        first = handle.records["_any"].lease_until
        await trio.sleep(2)
        assert handle.records["_any"].lease_until == pytest.approx(first + 2.2, abs=0.1)


async def test_a_progress_that_is_none_fails_the_job_by_name(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.progress(40)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        answer = (await (await client.submit(name)).result())["a"]
    assert answer.error == (
        "InvalidReportError: report 40: is no progress; report a number from 0 to 1, or None if nobody knows"
    )


async def test_a_thread_reports_through_trio(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        await trio.to_thread.run_sync(trio.from_thread.run_sync, job.progress, 0.5, "in a thread")

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        await handle.result()
    assert handle.records["_any"].message == "in a thread"


async def test_an_agent_that_stops_gives_the_job_back_with_its_progress(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.progress(0.5, f"on {job.host}")
        await trio.sleep(15 if job.attempt == 1 else 1)

    name, operations = offer(work)
    async with world.client(operations=operations) as client:
        async with world.agent("a", operations=operations, settings=replace(world.settings, drain=0.0)):
            handle = await client.submit(name)
            await trio.sleep(0.1)
        async with world.agent("b", operations=operations):
            assert (await handle.result())["b"].attempts == 2
    record = handle.records["_any"]
    assert [(attempt.outcome, attempt.message) for attempt in record.earlier] == [("released", "on a")]
    assert record.message == "on b"


@pytest.mark.parametrize("seed", range(20))
async def test_an_agent_that_stops_in_the_middle_of_a_report_still_gives_the_job_back(
    autojump_clock: object, world: World, seed: int
) -> None:
    async def work(job: osapi.Job) -> None:
        for step in range(1000):
            job.progress(step / 1000)
            await trio.sleep(0.01)

    name, operations = offer(work)
    async with world.client(operations=operations) as client:
        slow = Faults(seed=seed, delay=0.2)
        async with world.broker.connect(faults=slow) as wire:
            settings = replace(world.settings, drain=0.0)
            async with osapi.Agent(wire, operations, hostname="a", settings=settings):
                handle = await client.submit(name)
                await trio.sleep(2 + seed / 40)
            await trio.sleep(1)
        record = (await client.get(handle.id)).records["_any"]
    assert record.status is SlotStatus.RETRYABLE
    assert [attempt.outcome for attempt in record.earlier] == ["released"]
