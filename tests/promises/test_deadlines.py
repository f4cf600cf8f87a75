"""Deadlines: not started after `start_by`, not running after `finish_by`, no attempt longer than `timeout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi import JobStatus, SlotStatus
from tests.library import operations as ops
from tests.promises.conftest import PATIENCE, until

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_what_nobody_starts_in_time_never_starts(world: World) -> None:
    async with world.client() as client:
        async with world.agent("busy", operations=osapi.Operations()):
            handle = await client.submit("test.hostname.get", start_within=0.3)
            with trio.fail_after(10):
                (answer,) = (await handle.result()).values()
        async with world.agent("b"):
            await (await client.submit("test.hostname.get")).result()
    assert (answer.status, answer.error) == (SlotStatus.EXPIRED, "not started by any agent in time")
    assert (handle.id, "b") not in ops.started


async def test_what_was_started_in_time_may_end_later(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.sleep", ops.Sleep(3.5), start_within=2.0)
        assert (await handle.result())["a"].status is SlotStatus.COMPLETED


async def test_hosts_that_started_go_on_when_the_others_expire(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b", max_jobs=1):
        block = await client.submit("test.sleep", ops.Sleep(1000.0), target="b")
        await until(lambda: block.status() is JobStatus.PROCESSING)
        handle = await client.submit("test.sleep", ops.Sleep(3.5), target="_all", start_within=2.0)
        answers = await handle.result()
        await client.cancel(block.id)
    assert {host: answer.status for host, answer in answers.items()} == {
        "a": SlotStatus.COMPLETED,
        "b": SlotStatus.EXPIRED,
    }


async def test_without_its_client_the_sweeper_records_it(world: World) -> None:
    async with world.sweeper():
        async with world.agent("a", operations=osapi.Operations()):
            async with world.client() as client:
                handle = await client.submit("test.hostname.get", start_within=0.3)
            async with world.client() as later:
                # Not followed: whoever follows a job settles it.
                with trio.fail_after(PATIENCE):
                    while (await later.get(handle.id)).status is not JobStatus.EXPIRED:
                        await trio.sleep(0.1)


async def test_an_attempt_is_bounded(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.sleep", ops.Sleep(100.0), timeout=0.2)
        answer = (await handle.result())["a"]
    assert (answer.status, answer.error) == (SlotStatus.FAILED, "timed out after 0.2 s")


async def test_a_running_job_ends_when_its_time_is_over(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.sleep", ops.Sleep(100.0), within=1.5)
        answer = (await handle.result())["a"]
    assert (answer.status, answer.error) == (SlotStatus.EXPIRED, "its time was over while it ran")


@pytest.mark.parametrize("options", [{"start_within": 0.0}, {"start_within": 21.0}, {"timeout": 0.0}, {"within": -1.0}])
async def test_times_are_checked(world: World, options: dict[str, Any]) -> None:
    async with world.client() as client, world.agent("a"):
        with pytest.raises(osapi.InvalidSettingError):
            await client.submit("test.hostname.get", **options)
