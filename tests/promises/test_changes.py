"""What happens is told once, in order, and on from where somebody stopped; one job can be followed for a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_all_jobs_and_agents(world: World) -> None:
    async with world.client() as client, world.client() as other:
        changes = await client.changes()
        async with world.agent("a"):
            with trio.fail_after(20):
                assert (await anext(changes)).status == "Ready"
                told: list[tuple[str, str]] = []
                for _ in range(5):
                    handle = await other.submit("test.sleep", ops.Sleep(0.1))
                    await handle.result()
                    told += [(handle.id, status) for status in ("submitted", "processing", "completed")]
                heard: list[tuple[str, str]] = []
                while told[-1] not in heard:
                    change = await anext(changes)
                    assert isinstance(change, osapi.JobChange)
                    heard.append((change.job_id, change.status))
        # The two buckets are told of by watches of their own: a job may be over before it is heard of, and the next one
        # be heard of before the end of this one. The steps of each job come in order; ids grow.
        assert [step for step in told if step in heard] == sorted(heard, key=lambda step: step[0])
        assert {step for step in told if step[1] == "completed"} <= {*heard}
        again = await client.changes(changes.position)
        with trio.fail_after(20):
            assert [(await anext(changes)).status for _ in range(2)] == ["Ready", "NotReady"]
            assert [(await anext(again)).status for _ in range(2)] == ["Ready", "NotReady"]


async def test_a_job_of_another_client_for_the_length_of_a_block(world: World) -> None:
    async with world.client() as client, world.client() as other, world.agent("a"):
        handle = await other.submit("test.flaky", ops.Flaky(failures=1), policy=osapi.Policy(attempts=2, backoff=0.2))
        async with client.following(handle.id) as followed:
            with trio.fail_after(20):
                events = [event.event async for event in followed.events()]
                assert (await followed.result())["a"].status == "completed"
        assert events == ["submitted", "started", "retryable", "started", "completed"]
        async with client.following(handle.id) as followed:
            assert followed.done
            assert followed.status() is JobStatus.COMPLETED
        with pytest.raises(osapi.UnknownJobError):
            async with client.following("0"):
                pass


async def test_who_follows_settles_what_nobody_ends(world: World) -> None:
    async with world.client() as client:
        async with world.agent("a", operations=osapi.Operations()), world.client() as other:
            # Nobody offers it, and its client is gone before it is due.
            handle = await other.submit("test.hostname.get", within=1.0)
        async with client.following(handle.id) as followed:
            with trio.fail_after(20):
                await followed.ended()
            assert followed.status() is JobStatus.EXPIRED
