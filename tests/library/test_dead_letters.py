"""What the agents' consumers gave up, as a client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import JobStatus
from osapi.settings import dead_letters_config, job_bucket, own_consumer, stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.transport import Stream
    from tests.library.conftest import World


async def refuse(world: World, *reasons: str, subject: str = "jobs.query.host.dead.01") -> None:
    """Let a consumer give up a message for each reason."""
    async with world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        await wire.stream(dead_letters_config(world.settings))
        consumer = await stream.consumer(replace(own_consumer(world.settings, "tester", ()), deliver="all"))
        async with consumer.pull() as pull:
            for reason in reasons:
                await stream.publish(subject, b"")
                pull.request(1)
                for delivery in await pull.receive():
                    delivery.term(reason)


def told(letters: Sequence[osapi.DeadLetter]) -> list[str]:
    return [letter.reason for letter in letters]


async def dead(world: World, wire: Any) -> Stream:
    found: Stream = await wire.stream(dead_letters_config(world.settings))
    return found


async def test_a_job_that_cannot_be_read_is_a_dead_letter(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client:
        jobs = await wire.bucket(job_bucket(world.settings))
        sound = await client.submit("test.hostname.get")
        spoilt = await client.submit("test.hostname.get")
        await jobs.put(f"jobs.{spoilt.id}", b'{"v":99}')
        async with world.agent("a"):
            await trio.sleep(1)
        assert sound.status() is JobStatus.COMPLETED
        (letter,) = await client.dead_letters.list()
        assert (letter.sequence, letter.stream, letter.consumer, letter.deliveries) == (1, "JOBS", "any", 1)
        assert letter.reason == "the stored definition has format 99, this osapi reads format 1; upgrade the older side"
        assert letter.at == pytest.approx(wire.now(), abs=5)
        assert (letter.subject, letter.job_id, letter.job) == (f"jobs.query.any._.{spoilt.id}", spoilt.id, None)


async def test_a_story_that_cannot_be_told_keeps_no_other_back(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.settings = replace(world.settings, max_deliver=3)
    async with (
        world.broker.connect() as wire,
        world.client() as client,
        osapi.Sweeper(wire, settings=world.settings),
    ):
        jobs = await wire.bucket(job_bucket(world.settings))
        spoilt = await client.submit("test.hostname.get")
        await jobs.put(f"jobs.{spoilt.id}", b'{"v":99}')
        async with world.agent("a"):
            await trio.sleep(1)
        async with world.agent("b", operations=osapi.Operations()):
            given_up = await client.submit("test.hostname.get", within=60.0)
            await trio.sleep(100)
        await client.delete(given_up.id)
        letters = await client.dead_letters.list()
    assert [(letter.job_id, letter.job is not None) for letter in letters] == [(given_up.id, True), (spoilt.id, False)]
    assert caplog.text.count("the story of dead letter 1 cannot be told: ") == 1


async def test_a_job_whose_deliveries_are_used_up_is_a_dead_letter(autojump_clock: object, world: World) -> None:
    world.settings = replace(world.settings, max_deliver=3)
    others = osapi.Operations()
    async with world.agent("a", operations=others), world.client() as client:
        handle = await client.submit("test.hostname.get", within=60.0)
        await trio.sleep(30)
        (letter,) = await client.dead_letters.list()
        assert letter.reason == "none of its 3 deliveries was acknowledged (max_deliver)"
        assert letter.job is not None
        assert (letter.job_id, letter.job.id, letter.job.status) == (handle.id, handle.id, JobStatus.SUBMITTED)
        await handle.result()
        ((letter,),) = [await client.dead_letters.list()]
        assert letter.job is not None
        assert letter.job.status is JobStatus.EXPIRED


async def test_by_default_deliveries_are_not_bounded(autojump_clock: object, world: World) -> None:
    others = osapi.Operations()
    async with world.agent("a", operations=others), world.client() as client:
        handle = await client.submit("test.hostname.get", within=200.0)
        await trio.sleep(100)
        assert await client.dead_letters.list() == []
        async with world.agent("b"):
            assert {answer.host for answer in (await handle.result()).values()} == {"b"}


async def test_a_job_that_ends_with_its_lifetime_is_none(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.mortal("a") as mortal, world.client() as client:
        await client.submit("test.sleep", ops.Sleep(9000.0), within=3000.0)
        await trio.sleep(1)
        mortal.kill()
        await trio.sleep(3700)
        assert (await (await dead(world, wire)).info()).messages > 0
        assert await client.dead_letters.list() == []


async def test_the_newest_come_first_and_no_more_than_asked_for(autojump_clock: object, world: World) -> None:
    await refuse(world, *map(str, range(120)))
    async with world.client() as client:
        assert told(await client.dead_letters.list()) == [str(number) for number in range(119, 109, -1)]
        assert told(await client.dead_letters.list(limit=1000)) == [str(number) for number in range(119, -1, -1)]
        assert told(await client.dead_letters.list(limit=51)) == [str(number) for number in range(119, 68, -1)]
        for limit in (0, 10_001):
            with pytest.raises(osapi.InvalidSettingError, match="is out of range for limit; use 1 to 10000"):
                await client.dead_letters.list(limit=limit)


async def test_there_are_none_at_first(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        assert await client.dead_letters.list() == []


async def test_no_more_are_kept_than_the_settings_say(autojump_clock: object, world: World) -> None:
    world.settings = replace(world.settings, dead_letter_max_msgs=3, dead_letter_ttl=100.0)
    await refuse(world, "1", "2", "3", "4", "5")
    async with world.client() as client:
        assert told(await client.dead_letters.list()) == ["5", "4", "3"]
        await trio.sleep(101)
        assert await client.dead_letters.list() == []


async def test_one_is_purged_by_its_sequence(autojump_clock: object, world: World) -> None:
    await refuse(world, "1", "2", "3")
    async with world.client() as client:
        middle = (await client.dead_letters.list())[1]
        for _ in range(2):
            await client.dead_letters.purge(middle.sequence)
        assert told(await client.dead_letters.list()) == ["3", "1"]
        await client.dead_letters.purge(3)
        await client.dead_letters.purge(1)
        assert await client.dead_letters.list() == []


async def test_what_is_gone_leaves_a_letter_that_says_less(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        job_id = (await client.submit("test.hostname.get", target="_any")).id
        await refuse(world, "not this one", "nor this", subject=f"jobs.query.host.dead.{job_id}")
        first = (await client.dead_letters.list())[0]
        assert first.job is not None
        assert first.job_id == first.job.id == job_id
        await client.delete(job_id)
        for letter in await client.dead_letters.list():
            assert (letter.subject, letter.job_id, letter.job) == ("", None, None)
            assert letter.consumer == "tester"


async def test_a_message_that_is_no_notification_has_no_job(autojump_clock: object, world: World) -> None:
    await refuse(world, "strange", subject="jobs.of.another.kind")
    async with world.client() as client:
        (letter,) = await client.dead_letters.list()
        assert (letter.subject, letter.job_id, letter.job) == ("jobs.of.another.kind", None, None)


async def test_one_unreadable_job_does_not_hide_the_others(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client:
        jobs = await wire.bucket(job_bucket(world.settings))
        ids = [(await client.submit("test.hostname.get")).id for _ in range(5)]
        for job_id in ids:
            await refuse(world, job_id, subject=f"jobs.query.host.dead.{job_id}")
        for job_id in (ids[1], ids[2]):
            await jobs.put(f"jobs.{job_id}", b"nonsense")
        letters = await client.dead_letters.list()
        readable = {letter.job_id: letter.job is not None for letter in letters if letter.reason == letter.job_id}
        assert readable == {job_id: job_id not in (ids[1], ids[2]) for job_id in ids}


async def test_what_somebody_else_wrote_there_is_passed_over(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await refuse(world, "1", "2", "3")
    monkeypatch.setattr("osapi_memory.dead_letters._encode", lambda *_: b"nonsense")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    await refuse(world, "4")
    async with world.client() as client:
        assert told(await client.dead_letters.list()) == ["3", "2", "1"]
    assert "dead letter 4 is passed over: the dead letter cannot be read" in caplog.text


async def test_without_the_broker_it_says_so(autojump_clock: object, world: World) -> None:
    await refuse(world, "1")
    async with world.broker.connect() as wire, osapi.Client(wire, settings=world.settings) as client:
        wire.disconnect()
        with pytest.raises(osapi.DisconnectedError):
            await client.dead_letters.list()
        wire.reconnect()
        assert told(await client.dead_letters.list()) == ["1"]


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"dead_letter_ttl": -1.0}, "dead_letter_ttl; use at least 0.0"),
        ({"dead_letter_max_msgs": 0}, "dead_letter_max_msgs; use at least 1, or -1 for no limit"),
        ({"dead_letter_max_msgs": -2}, "dead_letter_max_msgs"),
        ({"max_deliver": 0}, "max_deliver; use at least 1, or -1 for no limit"),
    ],
)
def test_settings_are_refused_and_told_what_would_be_right(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match=remedy):
        osapi.Settings(**settings)


async def test_dead_letters_need_a_stream_of_their_own(world: World) -> None:
    async with world.broker.connect() as wire:
        with pytest.raises(osapi.InvalidSettingError, match="give the name of another stream"):
            async with osapi.Client(wire, settings=osapi.Settings(dead_letter_stream="JOBS")):
                pass
