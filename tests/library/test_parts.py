"""Results larger than a message: whole for who reads them, never half, and gone with the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.settings import response_bucket
from osapi_memory import Faults

if TYPE_CHECKING:
    from tests.library.conftest import World

LARGE = 3_000_000


async def keys(world: World, pattern: str = ">") -> list[str]:
    async with world.broker.connect() as wire:
        return sorted(await (await wire.bucket(response_bucket(world.settings))).keys(pattern))


async def test_a_large_result_comes_back_whole(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.agent("b"), world.client() as client, world.client() as other:
        handle = await client.submit("test.big", LARGE, target="_all")
        for _ in range(2):
            answers = await handle.result()
            assert {host: len(answer.unwrap()) for host, answer in answers.items()} == {"a": LARGE, "b": LARGE}
        stored = (await other.get(handle.id)).records["a"]
        assert (len(stored.result), stored.parts) == (LARGE + 2, None)
        (listed,) = await other.list()
        parts = listed.records["a"].parts
        assert parts is not None
        assert (len(listed.records["a"].result), parts.count, parts.size) == (0, 4, LARGE + 2)
        followed = await other.follow(handle.id)
        assert len((await followed.result())["b"].unwrap()) == LARGE


async def test_what_has_come_can_be_loaded_before_all_have_answered(autojump_clock: object, world: World) -> None:
    operations = osapi.Operations()

    @operations.query("test.some")
    async def some(job: osapi.Job) -> str:
        if job.host == "b":
            await trio.sleep(20)
        return "x" * LARGE

    options: dict[str, Any] = {"operations": operations}
    async with world.agent("a", **options), world.agent("b", **options), world.client(**options) as client:
        handle = await client.submit("test.some", target="_all")
        await trio.sleep(5)
        records = await handle.load()
        assert len(records["a"].result) == LARGE + 2
        assert records["b"].status is SlotStatus.RUNNING


async def test_just_at_the_limit_of_a_message(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        for size in (983_037, 983_038, 983_039, 1_048_576):
            handle = await client.submit("test.big", size)
            assert len((await handle.result())["a"].unwrap()) == size
        assert [len(await keys(world, f"*.{job.id}.>")) for job in await client.list()] == [3, 3, 1, 1]


async def test_beyond_the_limit_the_job_fails_by_name_and_leaves_no_parts(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.big", 17_000_000)
        answer = (await handle.result())["a"]
        assert answer.status is SlotStatus.FAILED
        assert answer.error == (
            "the result cannot be stored: payload 'result of test.big': is 17000002 bytes; "
            "at most 16777216 bytes are accepted"
        )
        assert len(await keys(world)) == 1


async def test_a_bucket_without_room_for_the_parts_fails_the_job(autojump_clock: object, world: World) -> None:
    world.settings = replace(world.settings, max_bytes=1_500_000)
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.big", LARGE)
        answer = (await handle.result())["a"]
        assert answer.status is SlotStatus.FAILED
        assert "the result cannot be stored" in answer.error
        assert len(await keys(world)) == 1, "the parts that had found room were removed"


async def test_parts_of_an_agent_that_died_are_never_a_result_and_are_gone_with_the_job(
    autojump_clock: object, world: World
) -> None:
    slow = Faults(seed=1, delay=1.0)
    async with world.mortal("a", faults=slow) as mortal, world.client() as client:
        handle = await client.submit("test.big", LARGE)
        with trio.fail_after(10):
            while not await keys(world, "*.*.*.part.>"):
                await trio.sleep(0.01)
        mortal.kill()
        assert 0 < len(await keys(world, "*.*.*.part.1.*")) < 4, "it died between two parts"
        assert (await client.get(handle.id)).records["_any"].status is SlotStatus.RUNNING
        async with world.agent("b"):
            answer = (await handle.result())["b"]
        assert (answer.attempts, len(answer.unwrap())) == (2, LARGE)
        assert len(await keys(world, "*.*.*.part.2.*")) == 4
        await trio.sleep(world.settings.job_ttl + 2)
        assert await keys(world) == []


async def test_a_deleted_job_leaves_no_parts(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.big", LARGE)
        await handle.ended()
        listed = await client.follow(handle.id)
        await client.delete(handle.id)
        assert await keys(world) == []
        with pytest.raises(osapi.UnknownJobError, match="its result is gone"):
            await listed.result()
        with pytest.raises(osapi.UnknownJobError, match="there is no job"):
            await client.get(handle.id)


async def test_a_retry_does_not_read_the_large_result(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.big", LARGE)
        again = await client.retry((await _ended(handle)).id)
        assert len((await again.result())["a"].unwrap()) == LARGE


async def _ended(handle: osapi.JobHandle) -> osapi.JobHandle:
    await handle.ended()
    return handle
