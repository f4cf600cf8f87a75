"""Alerts: one of several controllers tells, once, also of an agent that was killed, and whoever takes over goes on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

import osapi
from osapi.nursery import background
from osapi.rules.codec import KNOWN, REGISTRATION, TIMELINE
from osapi.rules.keys import agent_key, alerts_key, known_key, timeline_key
from osapi.rules.records import VERSION, Known, Registration
from osapi.rules.timeline import Moment, Timeline
from osapi.settings import registry_bucket, state_bucket
from tests.promises.conftest import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tests.promises.conftest import World

_HOT = osapi.Vitals(conditions=(osapi.Condition(type="HighLoad", status=True, since=1.0, reason="load 9"),))


class Told:
    """What was told, by all who might."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, str, bool]] = []
        self.failing = False
        self.calls = 0

    async def __call__(self, notices: Sequence[osapi.Notice]) -> None:
        self.calls += 1
        if self.failing:
            raise ValueError("no one listens")
        self.notices += [(notice.hostname, notice.condition, notice.status) for notice in notices]

    async def until(self, *notices: tuple[str, str, bool]) -> None:
        """Wait until these have been told, and nothing else."""
        with trio.move_on_after(PATIENCE):
            while len(self.notices) < len(notices):
                await trio.sleep(0.02)
        assert self.notices == list(notices)


@asynccontextmanager
async def controller(world: World, told: Told, **options: Any) -> AsyncGenerator[osapi.Client]:
    async with world.client() as client, background() as nursery:
        await nursery.start(partial(client.fleet.alert, told, **options))
        yield client


def miss_soon(world: World) -> None:
    """Let agents be missed after a time that a test may wait for."""
    world.settings = replace(world.settings, registry_ttl=2.0)


async def rounds(world: World, number: int = 4) -> None:
    await trio.sleep(number * world.settings.heartbeat)


async def test_a_condition_is_told_once_by_one_of_several_and_when_it_clears(world: World) -> None:
    told, vitals = Told(), _HOT

    async def status() -> osapi.Vitals:
        return vitals

    async with controller(world, told), world.agent("a", status=status):
        async with controller(world, told):
            await told.until(("a", "HighLoad", True))
            await rounds(world)
        vitals = osapi.Vitals()
        await told.until(("a", "HighLoad", True), ("a", "HighLoad", False))
    await told.until(("a", "HighLoad", True), ("a", "HighLoad", False))


async def test_whoever_takes_over_tells_nothing_twice(world: World) -> None:
    told = Told()

    async def status() -> osapi.Vitals:
        return _HOT

    async with world.agent("a", status=status):
        async with controller(world, told):
            await told.until(("a", "HighLoad", True))
            await rounds(world, 2)
        async with controller(world, told):
            await rounds(world, 6)
    await told.until(("a", "HighLoad", True))


async def test_what_was_not_taken_is_told_later_and_holds_nothing_up(world: World) -> None:
    told = Told()
    told.failing = True

    async def status() -> osapi.Vitals:
        return _HOT

    async with controller(world, told) as client, world.agent("a", status=status):
        await until(lambda: told.calls >= 2)
        handle = await client.submit("test.hostname.get", target="a")
        assert (await handle.result())["a"].unwrap()
        told.failing = False
        await told.until(("a", "HighLoad", True))


async def test_it_is_told_again_after_the_interval(world: World) -> None:
    told = Told()

    async def status() -> osapi.Vitals:
        return _HOT

    async with controller(world, told, renotify=0.5), world.agent("a", status=status):
        await until(lambda: len(told.notices) >= 3)
    assert set(told.notices) == {("a", "HighLoad", True)}


async def test_one_that_was_killed_is_missed_and_one_that_left_is_not(world: World) -> None:
    miss_soon(world)
    told = Told()
    async with controller(world, told) as client:
        async with world.agent("orderly"):
            pass
        await leave_behind(world, "killed")
        await until(lambda: bool(client.fleet.registered()))
        await told.until(("killed", "NotReady", True))
        async with world.agent("killed"):
            await told.until(("killed", "NotReady", True), ("killed", "NotReady", False))
        await rounds(world, 6)
    assert len(told.notices) == 2


async def leave_behind(world: World, host: str) -> None:
    """Leave on the broker what an agent leaves that was killed."""
    async with world.connect() as wire:
        now, state = wire.now(), await wire.bucket(state_bucket(world.settings))
        known = Known(v=VERSION, hostname=host, labels={}, operations={}, seen=now)
        timeline = Timeline(v=VERSION, hostname=host, moments=(Moment(at=now, event="registered"),))
        registration = Registration(
            v=VERSION, hostname=host, session="s", labels={}, operations={}, started=now, heartbeat=now, max_jobs=1
        )
        await state.put(known_key(host), KNOWN.encode(known))
        await state.put(timeline_key(host), TIMELINE.encode(timeline))
        registry = await wire.bucket(registry_bucket(world.settings))
        await registry.put(agent_key(host), REGISTRATION.encode(registration))


async def test_one_that_is_forgotten_is_missed_no_longer(world: World) -> None:
    miss_soon(world)
    told = Told()
    async with controller(world, told, renotify=0.5) as client:
        await leave_behind(world, "killed")
        await until(lambda: ("killed", "NotReady", True) in told.notices)
        await client.fleet.forget("killed")
        await rounds(world, 3)
        before = len(told.notices)
        await rounds(world, 6)
    assert len(told.notices) == before
    assert set(told.notices) == {("killed", "NotReady", True)}


async def test_what_cannot_be_read_silences_nobody(world: World) -> None:
    miss_soon(world)
    told = Told()
    async with world.connect() as wire:
        state = await wire.bucket(state_bucket(world.settings))
        for key in (known_key("odd"), timeline_key("odd"), alerts_key("odd")):
            await state.put(key, b"{")
    async with controller(world, told):
        await leave_behind(world, "killed")
        await told.until(("killed", "NotReady", True))
