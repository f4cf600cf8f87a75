"""The sweeper: jobs end though nobody is left, and of many sweepers one acts."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.flow.store import open_store
from osapi.flow.sweep import Sweep
from osapi.roster import Roster
from osapi.rules.codec import RECORD
from osapi.rules.keys import SWEEPER_KEY, decode_token, response_key
from osapi.rules.lifecycle import claim
from osapi.settings import job_bucket, registry_bucket, response_bucket
from osapi_memory.key_value import MemoryKeyValue
from osapi_memory.transport import MemoryTransport
from tests.library import operations as ops
from tests.library.sweepers import sweepers, written

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from osapi.transport import Entry, Watch
    from tests.library.conftest import World


async def submit(world: World, operation: str = "test.hostname.get", data: Any = None, **options: Any) -> str:
    """Submit a job and go."""
    async with world.client() as client:
        return (await client.submit(operation, data, **options)).id


async def status(world: World, job_id: str) -> dict[str, SlotStatus]:
    async with world.client() as client:
        return {slot: record.status for slot, record in (await client.get(job_id)).records.items()}


# --- What it settles ---------------------------------------------------------------------------------------


async def test_a_job_that_nobody_took_and_nobody_waits_for_expires(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 1):
        job_id = await submit(world, within=5.0)
        await trio.sleep(6.5)
        assert await status(world, job_id) == {}, "its client, if it had one, would come first"
        await trio.sleep(1)
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_jobs_from_before_it_ran_are_settled(autojump_clock: object, world: World) -> None:
    over, open_still = await submit(world, within=5.0), await submit(world, within=60.0)
    await trio.sleep(30)
    async with sweepers(world, 1):
        await trio.sleep(3)
        assert await status(world, over) == {"_any": SlotStatus.EXPIRED}
        assert await status(world, open_still) == {}
        await trio.sleep(30)
        assert await status(world, open_still) == {"_any": SlotStatus.EXPIRED}


async def test_of_a_broadcast_hosts_that_are_gone_were_unreachable(autojump_clock: object, world: World) -> None:
    async with world.mortal("gone") as mortal, world.agent("busy", max_jobs=1), sweepers(world, 1):
        await submit(world, "test.sleep", ops.Sleep(500.0), target="busy")
        mortal.transport.disconnect()
        job_id = await submit(world, target="_all", within=40.0)
        mortal.kill()
        await trio.sleep(60)
        assert await status(world, job_id) == {"busy": SlotStatus.EXPIRED, "gone": SlotStatus.UNREACHABLE}


async def test_the_job_of_an_agent_that_never_came_back_expires(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 1):
        async with world.mortal("a") as mortal:
            job_id = await submit(world, "test.sleep", ops.Sleep(500.0), within=20.0)
            await trio.sleep(1)
            assert await status(world, job_id) == {"_any": SlotStatus.RUNNING}
            mortal.kill()
        await trio.sleep(30)
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_who_holds_a_lease_keeps_it(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, sweepers(world, 1):
        job_id = await submit(world, within=5.0)
        async with world.client() as client:
            definition = (await client.get(job_id)).definition
        now = wire.now()
        held = claim(None, definition, slot="_any", host="a", lease="l", until=now + 20, now=now)
        answers = await wire.bucket(response_bucket(world.settings))
        await answers.create(response_key(definition.origin, job_id, "_any"), RECORD.encode(held))
        await trio.sleep(19)
        assert await status(world, job_id) == {"_any": SlotStatus.RUNNING}
        await trio.sleep(3)
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_what_has_ended_stays_as_it_is(autojump_clock: object, world: World) -> None:
    async with written(world) as log, world.agent("a"), sweepers(world, 1):
        job_id = await submit(world, within=5.0)
        await trio.sleep(20)
    assert [record.status for record in log.of(job_id)["_any"]] == [SlotStatus.RUNNING, SlotStatus.COMPLETED]


async def test_deleted_jobs_get_no_record(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 1):
        early, late = await submit(world, within=5.0), await submit(world, within=5.0)
        async with world.broker.connect() as wire, world.client() as client:
            await client.delete(early)
            await trio.sleep(6.5)
            await client.delete(late)
            await trio.sleep(10)
            answers = await wire.bucket(response_bucket(world.settings))
            assert await answers.keys() == []


async def test_a_thousand_jobs_of_a_fleet_that_is_gone_expire_together(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        ids = [(await client.submit("test.hostname.get", within=10.0)).id for _ in range(1000)]
    async with written(world) as log, sweepers(world, 3):
        await trio.sleep(15)
    assert set(log.definitions) == set(ids)
    log.check_all_ended_once()


async def test_what_cannot_be_read_does_not_stop_it(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.broker.connect() as wire, sweepers(world, 1):
        jobs, answers = (
            await wire.bucket(job_bucket(world.settings)),
            await wire.bucket(response_bucket(world.settings)),
        )
        await jobs.put("jobs.0123", b"nonsense")
        await jobs.put("jobs.NOT-OURS", b"x")
        unreadable, changed, sound = [await submit(world, within=5.0) for _ in range(3)]
        async with world.client() as client:
            definition = (await client.get(unreadable)).definition
        await answers.put(response_key(definition.origin, unreadable, "_any"), b"nonsense")
        await jobs.put(f"jobs.{changed}", b"nonsense")
        await trio.sleep(10)
        assert await status(world, sound) == {"_any": SlotStatus.EXPIRED}
    assert caplog.text.count("is left to others") == 3
    assert f"job {unreadable} cannot be settled" in caplog.text


async def test_a_job_for_which_there_is_no_room_is_tried_again_and_holds_up_no_other(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ""
    create = MemoryKeyValue.create

    async def limited(self: MemoryKeyValue, key: str, value: bytes, *, ttl: int | None = None) -> int:
        if refused and refused in key:
            raise osapi.LimitReachedError("no room")
        return await create(self, key, value, ttl=ttl)

    monkeypatch.setattr(MemoryKeyValue, "create", limited)
    async with sweepers(world, 1):
        async with world.client() as client:
            one, two = [(await client.submit("test.hostname.get", within=5.0)).id for _ in range(2)]
        refused = one
        await trio.sleep(8)
        assert await status(world, one) == {}
        assert await status(world, two) == {"_any": SlotStatus.EXPIRED}
        refused = ""
        await trio.sleep(6)
        assert await status(world, one) == {"_any": SlotStatus.EXPIRED}


async def test_the_clock_of_the_broker_counts_though_it_was_set_back(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sweepers(world, 1):
        job_id = await submit(world, within=5.0)
        sound = MemoryTransport.now

        def set_back(self: MemoryTransport) -> float:
            return sound(self) - 100.0

        monkeypatch.setattr(MemoryTransport, "now", set_back)
        await trio.sleep(100)
        assert await status(world, job_id) == {}
        await trio.sleep(10)
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


class SlowWatch:
    """A watch whose first set takes half a minute to arrive."""

    def __init__(self, inner: Watch) -> None:
        self._inner = inner
        self._begins = trio.current_time() + 30

    @property
    def caught_up(self) -> bool:
        return self._begins <= trio.current_time() and self._inner.caught_up

    async def receive(self) -> Sequence[Entry]:
        await trio.sleep_until(self._begins)
        return await self._inner.receive()

    def receive_nowait(self) -> Sequence[Entry]:
        return self._inner.receive_nowait() if self._begins <= trio.current_time() else []


async def test_it_settles_nothing_before_it_knows_who_is_there(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = MemoryKeyValue.watch

    @asynccontextmanager
    async def slow(self: MemoryKeyValue, *patterns: str, **options: Any) -> AsyncGenerator[Watch]:
        async with fast(self, *patterns, **options) as watch:
            yield SlowWatch(watch) if not patterns else watch

    async with world.agent("a", max_jobs=1) as busy:
        await submit(world, "test.sleep", ops.Sleep(500.0), target="a")
        await trio.sleep(1)
        assert busy.active == 1
        job_id = await submit(world, target="_all", within=5.0)
        await trio.sleep(5)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryKeyValue, "watch", slow)
            async with sweepers(world, 1):
                await trio.sleep(60)
        assert await status(world, job_id) == {"a": SlotStatus.EXPIRED}


# --- What it costs -----------------------------------------------------------------------------------------


async def test_it_reads_a_job_when_its_time_is_over_and_not_before(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.agent("a"), world.client() as client, sweepers(world, 1):
        await trio.sleep(1)
        for number in range(200):
            await client.submit("test.echo", number, within=1000.0)
        await trio.sleep(1)
        calls: Counter[str] = Counter()
        for name in ("get", "get_many", "keys", "history", "create", "update"):
            monkeypatch.setattr(MemoryKeyValue, name, counting(name, getattr(MemoryKeyValue, name), calls, world))
        await trio.sleep(900)
        assert calls == {}
        await trio.sleep(200)
        assert calls["get_many"] <= 8, "pages of definitions, and of records"
        assert set(calls) == {"get_many"}


def counting(name: str, method: Any, calls: Counter[str], world: World) -> Any:
    async def counted(self: MemoryKeyValue, *args: Any, **options: Any) -> Any:
        if self.config.name not in (world.settings.registry_bucket, world.settings.state_bucket):
            calls[name] += 1
        return await method(self, *args, **options)

    return counted


async def test_what_is_over_is_forgotten(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.client() as client, trio.open_nursery() as nursery:
        store = await open_store(wire, world.settings)
        async with store.registry.watch() as agents, store.jobs.watch("jobs.*") as jobs:
            swept = Sweep(store, Roster(agents))
            nursery.start_soon(swept.follow, jobs)
            nursery.start_soon(swept.settle_due)
            handles = [await client.submit("test.hostname.get", within=5.0) for _ in range(50)]
            await client.submit("test.hostname.get", within=100.0)
            await client.delete(handles[0].id)
            await trio.sleep(1)
            assert swept.size == 50
            await trio.sleep(10)
            assert swept.size == 1
            nursery.cancel_scope.cancel()


# --- Which one acts ----------------------------------------------------------------------------------------


async def test_one_of_many_acts_and_the_others_are_told_nothing_of_it(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with world.agent("a"), world.client() as client, sweepers(world, 5) as some:
            await trio.sleep(1)
            first = some.acting
            assert len(first) == 1
            await trio.sleep(300)
            assert some.acting == first
            assert [agent.hostname for agent in client.fleet.registered()] == ["a"]
    assert "ignored" not in caplog.text
    assert caplog.text.count("sweeps from now on") == 1


def test_no_hostname_is_encoded_to_its_key() -> None:
    with pytest.raises(osapi.InvalidKeyError):
        decode_token(SWEEPER_KEY)


async def test_when_it_leaves_another_takes_over_at_once(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 3) as some:
        await trio.sleep(1)
        (first,) = some.acting
        first.leave()
        await trio.sleep(1)
        (second,) = some.acting
        assert second is not first


async def test_the_last_one_leaves_nothing_behind(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire:
        async with osapi.Sweeper(wire, settings=world.settings):
            await trio.sleep(1)
            registry = await wire.bucket(registry_bucket(world.settings))
            assert await registry.keys() == [SWEEPER_KEY]
        assert await registry.keys() == []


async def test_one_that_leaves_without_the_post_does_not_give_it_back(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 1) as some:
        await trio.sleep(1)
        (first,) = some.acting
        (await some.start()).leave()
        await trio.sleep(100)
        assert some.acting == [first]


async def test_when_it_is_killed_another_takes_over(autojump_clock: object, world: World) -> None:
    async with written(world) as log, sweepers(world, 3) as some:
        await trio.sleep(1)
        (first,) = some.acting
        first.kill()
        await submit(world, within=5.0)
        await trio.sleep(world.settings.registry_ttl - 2)
        assert some.acting == []
        await trio.sleep(world.settings.heartbeat)
        (second,) = some.acting
        assert second is not first
        await trio.sleep(5)
    log.check_all_ended_once()


async def test_one_that_is_cut_off_stops_before_another_begins(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 2) as some:
        await trio.sleep(1)
        (first,) = some.acting
        first.transport.disconnect()
        await trio.sleep(2 * world.settings.registry_ttl)
        (second,) = some.acting
        assert second is not first
        job_id = await submit(world, within=5.0)
        first.transport.reconnect()
        await trio.sleep(10)
        assert some.acting == [second]
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_a_short_outage_costs_it_nothing(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 2) as some:
        await trio.sleep(1)
        (first,) = some.acting
        first.transport.disconnect()
        await trio.sleep(world.settings.registry_ttl / 2)
        job_id = await submit(world, within=5.0)
        first.transport.reconnect()
        await trio.sleep(10)
        assert some.acting == [first]
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_after_an_outage_of_all_one_takes_over(autojump_clock: object, world: World) -> None:
    async with sweepers(world, 3) as some:
        await trio.sleep(1)
        for life in some.lives:
            life.transport.disconnect()
        job_id = await submit(world, within=5.0)
        await trio.sleep(500)
        assert some.acting == []
        for life in some.lives:
            life.transport.reconnect()
        await trio.sleep(2 * world.settings.registry_ttl)
        assert len(some.acting) == 1
        assert await status(world, job_id) == {"_any": SlotStatus.EXPIRED}


async def test_one_whose_post_is_taken_away_stands_again(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, sweepers(world, 1) as some:
        await trio.sleep(1)
        registry = await wire.bucket(registry_bucket(world.settings))
        await registry.put(SWEEPER_KEY, b"another")
        await trio.sleep(world.settings.heartbeat + 1)
        assert some.acting == []
        await trio.sleep(world.settings.registry_ttl)
        assert len(some.acting) == 1


async def test_the_end_of_the_transport_ends_the_block(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire:
        with pytest.raises(osapi.ClosedError):
            async with osapi.Sweeper(wire, settings=world.settings):
                await trio.sleep(1)
                wire.crash()
                await trio.sleep(100)


async def test_an_error_of_the_block_comes_out_as_it_is(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire:
        with pytest.raises(KeyError):
            async with osapi.Sweeper(wire, settings=replace(world.settings, registry_ttl=60.0)):
                await trio.sleep(1)
                raise KeyError("mine")
