"""What an agent with keys has started is not started again: replayed, set back, late, after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.rules.codec import RECORD
from osapi.rules.keys import job_key, response_key
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.promises.signed import KEYS, attack, keys_of

if TYPE_CHECKING:
    from pathlib import Path

    from osapi.rules.records import Record
    from osapi.transport import KeyValue
    from tests.promises.conftest import World


async def record_in(responses: KeyValue, key: str) -> Record | None:
    entry = await responses.get(key)
    return None if entry is None else RECORD.decode(entry.value)


async def refused(responses: KeyValue, key: str) -> str:
    """Wait until the slot says that its job was refused, and return how."""
    with trio.fail_after(10):
        while True:
            record = await record_in(responses, key)
            if record is not None and record.status is SlotStatus.FAILED:
                return record.error or ""
            await trio.sleep(0.01)


async def test_a_job_whose_record_was_removed_does_not_run_again(world: World) -> None:
    async with world.client(**KEYS) as client, world.agent("a", **keys_of("a")), attack(world) as attacker:
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        responses = await attacker.responses()
        key = response_key(handle.definition.origin, handle.id, "a")
        await responses.purge(key)
        await attacker.notify(handle.id, host="a")
        told = await refused(responses, key)
    assert told.startswith("refused by a: replayed: it has ended here before")
    assert ops.started[handle.id, "a"] == 1


async def test_a_job_that_was_deleted_and_put_back_does_not_run_again(world: World) -> None:
    async with world.client(**KEYS) as client, world.agent("a", **keys_of("a")), attack(world) as attacker:
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        stored = await attacker.definition(handle.id)
        await client.delete(handle.id)
        await (await attacker.jobs()).put(job_key(handle.id), stored)
        await attacker.notify(handle.id, host="a")
        key = response_key(handle.definition.origin, handle.id, "a")
        told = await refused(await attacker.responses(), key)
    assert "replayed" in told
    assert ops.started[handle.id, "a"] == 1


async def test_a_record_that_was_set_back_to_an_earlier_attempt_starts_nothing(world: World) -> None:
    """The record of the first attempt is genuine: it comes from the agent, signed."""
    kept: list[bytes] = []
    runs: list[int] = []
    operations = osapi.Operations()

    @operations.query("my.job", policy=osapi.Policy(attempts=3, backoff=0.3, jitter=0.0))
    async def job(job: osapi.Job) -> None:
        runs.append(job.attempt)
        if job.attempt == 1:
            raise osapi.TransientError("busy")

    options = {"operations": operations, **keys_of("a")}
    client_of = world.client(operations=operations, **KEYS)
    async with client_of as client, world.agent("a", **options), attack(world) as attacker:
        responses = await attacker.responses()
        handle = await client.submit("my.job", target="a")
        key = response_key(handle.definition.origin, handle.id, "a")
        async with responses.watch(key) as watch:
            while True:
                newest = (await watch.receive())[-1].value
                status = RECORD.decode(newest).status
                if status is SlotStatus.RETRYABLE:
                    kept.append(newest)
                if status is SlotStatus.COMPLETED:
                    break
        assert kept
        await responses.put(key, kept[0])
        await attacker.notify(handle.id, host="a")
        assert "it has ended here before" in await refused(responses, key)
    assert runs == [1, 2]


async def test_while_it_runs_a_removed_claim_does_not_start_it_twice(world: World) -> None:
    async with (
        world.client(**KEYS) as client,
        world.agent("a", **keys_of("a")) as agent,
        attack(world) as attacker,
    ):
        handle = await client.submit("test.sleep", ops.Sleep(3.0), target="a")
        await until(lambda: agent.active == 1)
        responses = await attacker.responses()
        key = response_key(handle.definition.origin, handle.id, "a")
        await until(lambda: ops.started[handle.id, "a"] == 1)
        await responses.purge(key)
        await attacker.notify(handle.id, host="a")
        told = await refused(responses, key)
        await until(lambda: agent.active == 0)
    assert "attempt 1 of it was started here before" in told
    assert ops.started[handle.id, "a"] == 1


async def test_a_late_notification_of_an_ended_job_does_nothing(world: World) -> None:
    async with (
        world.client(**KEYS) as client,
        world.agent("a", **keys_of("a")) as agent,
        attack(world) as attacker,
    ):
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        for _ in range(3):
            await attacker.notify(handle.id, host="a")
        second = await client.submit("test.hostname.get", target="a")
        await second.result()
        await until(lambda: agent.active == 0)
        assert (await client.get(handle.id)).records["a"].status is SlotStatus.COMPLETED
    assert ops.started[handle.id, "a"] == 1


async def test_a_journal_remembers_after_a_restart(world: World, tmp_path: Path) -> None:
    journal = tmp_path / "keys" / "journal"
    async with world.client(**KEYS) as client, attack(world) as attacker:
        responses = await attacker.responses()
        async with world.agent("a", journal=journal, **keys_of("a")):
            handle = await client.submit("test.hostname.get", target="a")
            await handle.result()
        waiting = await client.submit("test.hostname.get", target="a")
        key = response_key(handle.definition.origin, handle.id, "a")
        await responses.purge(key)
        async with world.agent("a", journal=journal, **keys_of("a")):
            # What was submitted while it was away runs: the journal says that it has not run before.
            assert (await waiting.result())["a"].status is SlotStatus.COMPLETED
            await attacker.notify(handle.id, host="a")
            assert "it has ended here before" in await refused(responses, key)
    assert ops.started[handle.id, "a"] == 1
    assert journal.stat().st_mode & 0o777 == 0o600


async def test_without_a_journal_older_jobs_are_refused_or_left_to_others(world: World) -> None:
    async with world.client(**KEYS) as client:
        async with world.agent("a", **keys_of("a")):
            pass
        own = await client.submit("test.hostname.get", target="a")
        anyone = await client.submit("test.hostname.get")
        async with world.agent("a", **keys_of("a")):
            with trio.fail_after(10):
                answer = (await own.result())["a"]
            assert "it is older than this agent's memory" in answer.error
            await trio.sleep(0.5)
            assert not anyone.done
    assert (own.id, "a") not in ops.started
    assert (anyone.id, "a") not in ops.started


async def test_a_job_that_was_given_back_goes_on_after_a_restart(world: World, tmp_path: Path) -> None:
    """Its record says so, signed by the agent itself: the next attempt is a new one."""
    settings = replace(world.settings, ack_wait=1.0)
    begun = trio.Event()
    operations = osapi.Operations()

    @operations.query("my.job")
    async def job(job: osapi.Job) -> int:
        begun.set()
        if job.attempt == 1:
            await trio.sleep_forever()
        return job.attempt

    options = {"operations": operations, "settings": settings, "journal": tmp_path / "journal", **keys_of("a")}
    async with world.client(settings=settings, operations=operations, **KEYS) as client:
        async with world.agent("a", **options):
            handle = await client.submit("my.job", target="a")
            await begun.wait()
        async with world.agent("a", **options):
            with trio.fail_after(15):
                answer = (await handle.result())["a"]
    assert answer.unwrap() == 2
