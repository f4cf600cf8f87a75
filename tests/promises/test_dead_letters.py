"""Promise 4, its second half: what was given up lies there with its whole story, and can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import SlotStatus
from osapi.settings import job_bucket, story_bucket
from tests.library import operations as ops
from tests.promises.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.promises.conftest import World

QUICK = osapi.Policy(attempts=3, backoff=0.05, jitter=0.0)


async def letters(client: osapi.Client, count: int) -> list[osapi.DeadLetter]:
    """Wait for so many dead letters, all with their jobs."""
    with trio.fail_after(PATIENCE):
        while True:
            found = await client.dead_letters.list()
            if len(found) >= count and all(letter.job is not None for letter in found):
                return list(found)
            await trio.sleep(0.05)


async def test_a_job_whose_attempts_are_used_up_tells_its_whole_story(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), policy=QUICK)
        answer = (await handle.result())["a"]
        assert (answer.status, answer.attempts) == (SlotStatus.FAILED, 3)
        (letter,) = await letters(client, 1)
        assert (letter.job_id, letter.reason, letter.host) == (handle.id, "TransientError: busy", "")
        assert letter.job is not None
        record = letter.job.records["_any"]
        assert [(attempt.number, attempt.outcome) for attempt in record.earlier] == [(1, "retryable"), (2, "retryable")]


async def test_what_failed_for_good_is_no_dead_letter(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        plain = await client.submit("test.flaky", ops.Flaky(failures=9, error="bug"), policy=QUICK)
        await plain.result()
        once = await client.submit("test.flaky", ops.Flaky(failures=9), policy=osapi.Policy(attempts=1))
        await once.result()
        last = await client.submit("test.flaky", ops.Flaky(failures=9), policy=QUICK)
        await last.result()
        assert [letter.job_id for letter in await letters(client, 1)] == [last.id]


async def test_a_dead_letter_is_replayed_to_whom_it_was_for(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b"):
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), policy=QUICK, target="_all")
        await handle.result()
        found = await letters(client, 2)
        assert {letter.host for letter in found} == {"a", "b"}
        letter = found[0]
        again = await client.dead_letters.replay(letter.sequence)
        assert again.expected == (letter.host,)
        assert again.definition.retry_of == handle.id
        assert (await client.get(handle.id)).retried_as == again.id
        await again.result()
        with pytest.raises(osapi.UnknownLetterError):
            await client.dead_letters.get(letter.sequence)


async def test_its_story_outlives_its_job_where_a_sweeper_runs(world: World) -> None:
    async with world.sweeper(), world.client() as client, world.agent("a"), world.connect() as wire:
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), policy=QUICK)
        await handle.result()
        (letter,) = await letters(client, 1)
        stories = await wire.bucket(story_bucket(world.settings))
        with trio.fail_after(PATIENCE):
            while await stories.get(f"letter.{letter.sequence}") is None:
                await trio.sleep(0.05)
        await client.delete(handle.id)
        kept = await client.dead_letters.get(letter.sequence)
        assert kept.job is not None
        assert (kept.job_id, kept.job.status) == (handle.id, "failed")
        assert len(kept.job.records["_any"].earlier) == 2
        again = await client.dead_letters.replay(letter.sequence)
        assert again.definition.data == handle.definition.data
        await again.result()


async def test_they_are_found_and_purged_by_operation_target_and_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.client() as client, world.agent("a"):
        for error, target in (("transient", "_any"), ("os", "_any"), ("os", "a")):
            handle = await client.submit("test.flaky", ops.Flaky(failures=9, error=error), policy=QUICK, target=target)
            await handle.result()
        found = await letters(client, 3)
        assert [letter.host for letter in found] == ["a", "", ""]
        assert len(await client.dead_letters.list(operation="test.flaky")) == 3
        assert await client.dead_letters.list(operation="test.echo") == []
        assert len(await client.dead_letters.list(target="a")) == 1
        assert len(await client.dead_letters.list(reason="NO ROUTE")) == 2
        assert await client.dead_letters.purge_all(reason="no route", target="_any") == 1
        assert len(await client.dead_letters.list()) == 2
        # However many there are in a page, all are removed.
        monkeypatch.setattr("osapi.dead_letters.MAX_LIMIT", 1)
        assert await client.dead_letters.purge_all() == 2
        assert await client.dead_letters.list() == []


async def test_what_is_not_there_cannot_be_shown_or_replayed(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.connect() as wire:
        jobs = await wire.bucket(job_bucket(world.settings))
        with pytest.raises(osapi.UnknownLetterError, match="no dead letter 7"):
            await client.dead_letters.replay(7)
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), policy=QUICK)
        await handle.result()
        (letter,) = await letters(client, 1)
        await jobs.purge(f"jobs.{handle.id}")
        with pytest.raises(osapi.UnknownLetterError, match="nothing is left"):
            await client.dead_letters.replay(letter.sequence)


async def test_replayed_by_several_at_once_it_is_one_job(world: World) -> None:
    async with world.client() as client, world.client() as other, world.agent("a"):
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), policy=QUICK)
        await handle.result()
        (letter,) = await letters(client, 1)
        found: set[str] = set()

        async def replay(by: osapi.Client) -> None:
            try:
                found.add((await by.dead_letters.replay(letter.sequence)).id)
            except osapi.UnknownLetterError:
                return

        async with trio.open_nursery() as nursery:
            for by in (client, other, client, other):
                nursery.start_soon(replay, by)
        assert len(found) == 1
        assert len(await client.list()) == 2
