"""Cancel: pending jobs never start, running ones end within a second, per host for broadcasts, and by whom is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus, SlotStatus
from tests.library import operations as ops
from tests.promises.conftest import until

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_what_is_pending_never_starts(world: World) -> None:
    async with world.client() as client, world.agent("a", operations=osapi.Operations()):
        handle = await client.submit("test.hostname.get", target="a")
        # The agent does not offer it and would skip it; another job is for one of N, and nobody can do it.
        anyone = await client.submit("test.hostname.get")
        detail = await client.cancel(anyone.id, by="alice", reason="wrong fleet")
        assert detail.status is JobStatus.CANCELLED
        (answer,) = (await anyone.result()).values()
        assert (answer.status, answer.attempts) == (SlotStatus.CANCELLED, 0)
        assert answer.error == "cancelled by alice before it started: wrong fleet"
        await handle.result()
        async with world.agent("b"):
            last = await client.submit("test.hostname.get")
            await last.result()
    assert (anyone.id, "b") not in ops.started
    assert [event.event for event in anyone.timeline()] == ["submitted", "cancelled"]


async def test_what_runs_is_cancelled_and_says_how_far_it_had_come(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.sleep", ops.Sleep(1000.0))
        await until(lambda: handle.status() is JobStatus.PROCESSING)
        await client.cancel(handle.id, by="bob")
        with trio.fail_after(10):
            answer = (await handle.result())["a"]
        record = handle.records["_any"]
    assert answer.status is SlotStatus.CANCELLED
    assert answer.error.startswith("cancelled by bob after ")
    assert answer.error.endswith(" s of attempt 1")
    assert (record.by, record.attempt) == ("bob", 1)
    assert (handle.id, "a") not in ops.finished
    assert handle.status() is JobStatus.CANCELLED


async def test_one_host_of_a_broadcast(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b"):
        handle = await client.submit("test.sleep", ops.Sleep(4.0), target="_all")
        await until(lambda: len(handle.records) == 2)
        await client.cancel(handle.id, hosts=["B"])
        answers = await handle.result()
    assert {host: answer.status for host, answer in answers.items()} == {
        "a": SlotStatus.COMPLETED,
        "b": SlotStatus.CANCELLED,
    }
    assert handle.status() is JobStatus.PARTIAL_FAILURE


async def test_what_waits_for_its_retry(world: World) -> None:
    policy = osapi.Policy(attempts=5, backoff=10.0, jitter=0.0)
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.flaky", ops.Flaky(failures=3), policy=policy)
        await until(lambda: handle.status() is JobStatus.RETRYABLE)
        assert handle.summary().startswith("retryable (1/5, next ")
        detail = await client.cancel(handle.id)
    assert detail.status is JobStatus.CANCELLED
    assert detail.records["_any"].error == "cancelled after attempt 1, before another"


async def test_a_retry_that_comes_after_the_order_is_not_started(world: World) -> None:
    """The order is given while the attempt runs, which then ends by itself, before its holder looks."""
    begun = trio.Event()
    go = trio.Event()
    attempts: list[int] = []
    operations = osapi.Operations()

    @operations.query("my.job", policy=osapi.Policy(attempts=3, backoff=0.3, jitter=0.0))
    async def job(job: osapi.Job) -> int:
        attempts.append(job.attempt)
        begun.set()
        with trio.CancelScope(shield=True):
            await go.wait()
        raise osapi.TransientError("busy")

    async with world.client(operations=operations) as client, world.agent("a", operations=operations):
        handle = await client.submit("my.job")
        await begun.wait()
        await client.cancel(handle.id)
        go.set()
        await handle.result()
    assert attempts == [1]
    assert handle.status() is JobStatus.CANCELLED


async def test_what_has_ended_stays_as_it_is_and_the_first_order_counts(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.hostname.get")
        await handle.result()
        assert (await client.cancel(handle.id)).status is JobStatus.COMPLETED
        other = await client.submit("test.hostname.get", target="a", within=20.0)
        await other.result()
    async with world.client() as client, world.agent("a", operations=osapi.Operations()):
        waiting = await client.submit("test.hostname.get")
        await client.cancel(waiting.id, by="alice")
        detail = await client.cancel(waiting.id, by="bob")
        assert detail.records["_any"].by == "alice"


async def test_a_handler_cleans_up_under_a_bounded_shield(world: World) -> None:
    done: list[str] = []
    operations = osapi.Operations()

    @operations.modify("my.job")
    async def job(job: osapi.Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with job.cleanup(0.2) as scope:
                await trio.sleep(0.05)
                done.append("tidied")
                await trio.sleep_forever()
            done.append(f"ended: {scope.cancelled_caught}")

    async with world.client(operations=operations) as client, world.agent("a", operations=operations):
        handle = await client.submit("my.job")
        await until(lambda: handle.status() is JobStatus.PROCESSING)
        await client.cancel(handle.id)
        await handle.result()
    assert handle.status() is JobStatus.CANCELLED
    assert done == ["tidied", "ended: True"]


async def test_whoever_takes_over_finds_the_order(world: World) -> None:
    """The holder is gone when the order is given; nobody starts the job again."""
    async with world.client() as client:
        async with trio.open_nursery() as nursery:
            async with world.agent("a"):
                handle = await client.submit("test.sleep", ops.Sleep(1000.0))
                await until(lambda: handle.status() is JobStatus.PROCESSING)
                nursery.start_soon(client.cancel, handle.id)
        async with world.agent("b"):
            await handle.result()
    assert handle.status() is JobStatus.CANCELLED
    assert (handle.id, "b") not in ops.started


@pytest.mark.parametrize(
    ("hosts", "kind"),
    [
        (["c"], osapi.UnknownHostError),
        ([], osapi.InvalidSettingError),
        (["no host"], osapi.InvalidNameError),
    ],
)
async def test_bad_orders_are_refused(world: World, hosts: list[str], kind: type[Exception]) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.sleep", ops.Sleep(1000.0), target="_all")
        with pytest.raises(kind):
            await client.cancel(handle.id, hosts=hosts)
        with pytest.raises(osapi.InvalidSettingError, match="by"):
            await client.cancel(handle.id, by="x\ny")
        with pytest.raises(osapi.UnknownJobError):
            await client.cancel("0")
        anyone = await client.submit("test.sleep", ops.Sleep(1000.0))
        with pytest.raises(osapi.InvalidSettingError, match="as a whole"):
            await client.cancel(anyone.id, hosts=["a"])
        for job in (handle, anyone):
            await client.cancel(job.id)
            await job.result()
