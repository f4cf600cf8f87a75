"""Output: in order and whole, live and late, by attempt, bounded, and never from who has lost the lease."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.rules.keys import output_key
from osapi.rules.records import Output
from tests.library.test_progress import answers, offer, taken_over

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.library.conftest import World


async def texts(chunks: AsyncIterator[osapi.Chunk]) -> str:
    return "".join([chunk.text async for chunk in chunks])


async def keys(world: World) -> list[str]:
    async with world.broker.connect() as wire:
        return sorted(await (await answers(world, wire)).keys())


async def count(job: osapi.Job) -> None:
    for number in range(5):
        job.output(f"line {number}\n")
        await trio.sleep(10)


LINES = "".join(f"line {number}\n" for number in range(5))


async def test_it_is_read_while_the_job_runs(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        start = trio.current_time()
        handle = await client.submit(name)
        read = [(chunk, trio.current_time() - start) async for chunk in handle.output()]
        assert handle.done
    assert [chunk.text for chunk, _ in read] == LINES.splitlines(keepends=True)
    for number, (chunk, at) in enumerate(read):
        assert (chunk.host, chunk.slot, chunk.attempt, chunk.number, chunk.stream) == ("a", "_any", 1, number, "stdout")
        assert chunk.position == number + 1
        assert 10 * number <= at < 10 * number + 0.5
    assert handle.records["_any"].output == Output(chunks=5, bytes=len(LINES))


async def test_who_comes_late_or_in_the_middle_reads_all_of_it(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with (
        world.agent("a", operations=operations),
        world.client(operations=operations) as client,
        world.client(operations=None) as other,
    ):
        handle = await client.submit(name)
        await trio.sleep(25)
        assert await texts(other.output(handle.id)) == LINES
        assert await texts(client.output(handle.id)) == LINES
        assert await texts(other.output(handle.id)) == LINES
        assert await texts(handle.output()) == LINES
        with pytest.raises(osapi.UnknownJobError):
            await texts(other.output("0"))


async def test_reading_goes_on_where_it_stopped(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with (
        world.agent("a", operations=operations),
        world.client(operations=operations) as client,
        world.client(operations=operations) as other,
    ):
        handle = await client.submit(name)
        after: dict[str, int] = {}
        read = ""
        for _ in range(5):
            async with aclosing(other.output(handle.id, after=after)) as chunks:
                async for chunk in chunks:
                    read += chunk.text
                    after[chunk.slot] = chunk.position
                    break
        assert read == LINES
        assert await texts(other.output(handle.id, after=after)) == ""


async def test_a_short_job_costs_one_chunk_and_no_other_write(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for _ in range(10):
            job.output("é" * 100)
            job.output("oh", stream="stderr")

    name, operations = offer(work)
    async with (
        world.agent("a", operations=operations),
        world.client(operations=operations) as client,
        world.broker.connect() as wire,
    ):
        handle = await client.submit(name)
        read = [(chunk.stream, chunk.text) async for chunk in handle.output()]
        assert read == [("stdout", "é" * 1000), ("stderr", "oh" * 10)]
        assert (await (await answers(world, wire)).info()).revision == 4


async def test_much_output_is_stored_at_once_in_chunks_of_a_size(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.output("x" * 100_000)
        await trio.sleep(0.1)
        job.output("y" * 10)
        await trio.sleep(0.15)
        job.output("z" * 10)

    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        start = trio.current_time()
        handle = await client.submit(name)
        read = [(len(chunk.data), trio.current_time() - start) async for chunk in handle.output()]
    assert [size for size, _ in read] == [32_768, 32_768, 32_768, 100_000 - 3 * 32_768, 20]
    assert read[0][1] == pytest.approx(0.0, abs=0.05)


async def test_the_hosts_of_a_broadcast(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for number in range(3):
            await trio.sleep(1 if job.host == "a" else 10)
            job.output(f"{job.host}{number} ")

    name, operations = offer(work)
    options: dict[str, Any] = {"operations": operations}
    async with world.agent("a", **options), world.agent("b", **options), world.client(**options) as client:
        start = trio.current_time()
        handle = await client.submit(name, target="_all")
        assert await texts(handle.output(host="A")) == "a0 a1 a2 "
        assert trio.current_time() - start < 4, "one host's output ends with that host"
        read = [chunk async for chunk in handle.output()]
        assert "".join(chunk.text for chunk in read) == "a0 a1 a2 b0 b1 b2 "
        assert {chunk.slot: chunk.position for chunk in read} == {"a": 3, "b": 3}
        assert await texts(handle.output(after={"a": 2})) == "a2 b0 b1 b2 "
        with pytest.raises(osapi.UnknownHostError, match=f"job {handle.id} is not for 'c'; it is for a, b"):
            await texts(handle.output(host="c"))
        with pytest.raises(osapi.InvalidNameError):
            await texts(handle.output(host=""))


async def test_a_job_that_writes_nothing(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.hostname.get")
        assert [chunk async for chunk in handle.output()] == []
        assert handle.done
        assert len(await keys(world)) == 1


async def test_nobody_starts_the_job(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.hostname.get", within=10.0)
        assert [chunk async for chunk in handle.output()] == []
        assert handle.done


async def test_each_attempt_is_told_apart(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.output(f"try {job.attempt}")
        if job.attempt < 3:
            raise osapi.Retry("again", after=5.0)

    name, operations = offer(work, attempts=3)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        live = [chunk async for chunk in handle.output()]
        assert [(chunk.attempt, chunk.number, chunk.position, chunk.text) for chunk in live] == [
            (1, 0, 1, "try 1"),
            (2, 0, 2, "try 2"),
            (3, 0, 3, "try 3"),
        ]
        assert [chunk async for chunk in client.output(handle.id)] == live


async def test_a_killed_agents_output_stays_and_the_next_one_goes_on(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for number in range(4):
            job.output(f"{job.host}{number} ")
            await trio.sleep(2)

    name, operations = offer(work)
    async with world.mortal("a", operations=operations) as mortal, world.client(operations=operations) as client:
        handle = await client.submit(name)
        await trio.sleep(3)
        mortal.kill()
        async with world.agent("b", operations=operations):
            read = [chunk async for chunk in handle.output()]
        assert [(chunk.host, chunk.attempt, chunk.text) for chunk in read] == [
            ("a", 1, "a0 "),
            ("a", 1, "a1 "),
            *[("b", 2, f"b{number} ") for number in range(4)],
        ]
        assert await texts(handle.output(host="a")) == "a0 a1 "


async def test_a_chunk_of_who_has_lost_the_lease_never_shows(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with (
        world.agent("a", operations=operations) as agent,
        world.client(operations=operations) as client,
        world.broker.connect() as wire,
    ):
        handle = await client.submit(name, within=60.0)
        await trio.sleep(19)
        bucket = await answers(world, wire)
        record_key = f"{handle.definition.origin}.{handle.id}._any"
        await taken_over(bucket, record_key)
        await trio.sleep(10)
        assert agent.counters.lost == 1
        assert await bucket.get(output_key(record_key, 1, 2)) is not None, "it was stored, and then refused"
        # The test took the slot over without the story of the first attempt: nothing admits its chunks.
        assert {chunk.attempt async for chunk in handle.output()} == {3}


async def test_what_is_too_much_is_dropped_and_the_end_says_so(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for _ in range(6):
            job.output("x" * 50)
            await trio.sleep(1)
        if job.attempt == 1:
            raise osapi.TransientError("again")

    name, operations = offer(work, attempts=2)
    settings = replace(world.settings, max_output=420)
    async with (
        world.agent("a", operations=operations, settings=settings),
        world.client(operations=operations) as client,
    ):
        handle = await client.submit(name)
        read = [(chunk.attempt, chunk.position, len(chunk.data), chunk.dropped) async for chunk in handle.output()]
        assert read == [
            *[(1, position, 50, 0) for position in range(1, 7)],
            *[(2, position, 50, 0) for position in range(7, 9)],
            (2, 9, 20, 0),
            (2, 10, 0, 180),
        ]
        assert [chunk async for chunk in handle.output(after={"_any": 10})] == []
    assert handle.records["_any"].output == Output(chunks=3, bytes=120, dropped=180)


async def test_no_output_may_be_kept_at_all(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    settings = replace(world.settings, max_output=0)
    async with (
        world.agent("a", operations=operations, settings=settings),
        world.client(operations=operations) as client,
    ):
        handle = await client.submit(name)
        assert [(chunk.text, chunk.dropped) async for chunk in handle.output()] == [("", len(LINES))]


async def test_a_full_bucket_costs_the_output_and_not_the_job(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> str:
        for _ in range(4):
            job.output("x" * 30_000)
            await trio.sleep(1)
        return "done"

    world.settings = replace(world.settings, max_bytes=70_000)
    name, operations = offer(work)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        read = [(len(chunk.data), chunk.dropped) async for chunk in handle.output()]
        assert read == [(30_000, 0), (30_000, 0), (0, 60_000)]
        assert (await handle.result())["a"].unwrap() == "done"


async def test_an_outage_loses_nothing_and_doubles_nothing(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        for number in range(100):
            job.output(f"{number} ")
            await trio.sleep(0.1)

    name, operations = offer(work)
    async with world.mortal("a", operations=operations) as mortal, world.client(operations=operations) as client:
        handle = await client.submit(name)
        for _ in range(3):
            await trio.sleep(1.05)
            mortal.transport.disconnect()
            await trio.sleep(2)
            mortal.transport.reconnect()
        assert await texts(handle.output()) == "".join(f"{number} " for number in range(100))
    assert handle.records["_any"].attempt == 1


async def test_an_agent_that_stops_stores_what_was_written_last(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.output(f"{job.host} ")
        await trio.sleep(15 if job.attempt == 1 else 1)

    name, operations = offer(work)
    async with world.client(operations=operations) as client:
        async with world.agent("a", operations=operations, settings=replace(world.settings, drain=0.0)):
            handle = await client.submit(name)
            await trio.sleep(0.1)
        async with world.agent("b", operations=operations):
            assert await texts(handle.output()) == "a b "


async def test_a_timed_out_handler_has_written_what_it_wrote(autojump_clock: object, world: World) -> None:
    async def work(job: osapi.Job) -> None:
        job.output("working")
        await trio.sleep(4.9)
        job.output(", still")
        await trio.sleep(100)

    name, operations = offer(work, timeout=5.0)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit(name)
        assert await texts(handle.output()) == "working, still"
        assert (await handle.result())["a"].status is SlotStatus.FAILED


async def test_who_reads_a_deleted_job_is_told(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with (
        world.agent("a", operations=operations) as agent,
        world.client(operations=operations) as client,
        trio.open_nursery() as nursery,
    ):
        handle = await client.submit(name)

        async def read() -> None:
            with pytest.raises(osapi.UnknownJobError, match="was deleted"):
                await texts(handle.output())

        nursery.start_soon(read)
        await trio.sleep(15)
        await client.delete(handle.id)
        await trio.sleep(20)
        assert agent.counters.lost == 1
        await trio.sleep(world.settings.job_ttl)
        assert await keys(world) == []


async def test_deleting_removes_the_output_and_its_lifetime_does_too(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        deleted = await client.submit(name)
        await deleted.result()
        assert len(await keys(world)) == 6
        await client.delete(deleted.id)
        assert await keys(world) == []
        with pytest.raises(osapi.UnknownJobError, match="its output is gone"):
            await texts(deleted.output())
        await (await client.submit(name)).result()
        assert len(await keys(world)) == 6
        await trio.sleep(world.settings.job_ttl)
        assert await keys(world) == []


async def test_who_reads_when_the_client_ends_is_told(autojump_clock: object, world: World) -> None:
    name, operations = offer(count)
    async with world.agent("a", operations=operations), trio.open_nursery() as nursery:
        async with world.client(operations=operations) as client:
            handle = await client.submit(name)

            async def read() -> None:
                with pytest.raises(osapi.ClosedError, match="the client was closed"):
                    await texts(handle.output())

            nursery.start_soon(read)
            await trio.sleep(15)


async def test_secrets_of_the_data_are_in_no_output_and_no_message(autojump_clock: object, world: World) -> None:
    operations = osapi.Operations()

    @operations.modify("test.login", secrets=("password",))
    async def login(job: osapi.Job, data: dict[str, str]) -> dict[str, str]:
        password = data["password"]
        job.progress(0.5, "x" * 190 + password)
        for piece in ("as ", password[:5], password[5:], f" and {password} ", password[:3]):
            job.output(piece)
            await trio.sleep(1)
        job.output(f"{password[3:]}\n")
        job.output(password.encode(), stream="stderr")
        job.output(password[:6])
        return data

    async with world.agent("a", operations=operations), world.client(operations=operations) as client:
        handle = await client.submit("test.login", {"user": "anna", "password": "hunter22 or more"})
        read = [chunk async for chunk in handle.output()]
        result = (await handle.result())["a"].unwrap()
        assert result == {"user": "anna", "password": "hunter22 or more"}, "who asked for it gets it as it is"
        messages = [event.message for event in (await client.get(handle.id)).timeline if event.event == "progress"]
        async with world.broker.connect() as wire:
            bucket = await answers(world, wire)
            stored = [entry.value for key in await keys(world) if (entry := await bucket.get(key)) and ".o" in key]
    assert "".join(chunk.text for chunk in read if chunk.stream == "stdout") == "as *** and *** ***\n***"
    assert "".join(chunk.text for chunk in read if chunk.stream == "stderr") == "***"
    assert messages == ["50%: " + "x" * 190 + "***"]
    assert not any(b"hunter" in value for value in stored)
