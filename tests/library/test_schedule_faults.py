"""Each due time is one job or one named entry, whoever dies, whatever gets lost, by seed, in virtual time."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi.flow.ticks import schedule_bucket
from osapi.rules.codec import DEFINITION, SCHEDULE
from osapi.rules.schedules import next_due
from osapi.settings import job_bucket
from osapi_memory import Faults
from tests.library import operations as ops

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.rules.records import Definition
    from osapi.transport import Watch
    from tests.library.conftest import World

LENGTH = 600.0

# What is given to `set`: often and by the calendar, made up for soon or not, one after the other or not, once, to hosts
# that come and go.
SCHEDULES: dict[str, dict[str, Any]] = {
    "often": {"operation": "test.hostname.get", "every": 7.0, "catch_up": 20.0},
    "calendar": {"operation": "test.hostname.get", "cron": "* * * * *", "overlap": "allow"},
    "slow": {"operation": "test.sleep", "data": ops.Sleep(25.0), "every": 11.0},
    "all": {"operation": "test.hostname.get", "target": "_all", "every": 13.0, "catch_up": 5.0, "overlap": "allow"},
}


class Log:
    """Every version of every schedule and every job that was ever stored."""

    def __init__(self) -> None:
        self.versions: dict[str, list[osapi.Schedule]] = {}
        self.jobs: list[Definition] = []

    async def schedules(self, watch: Watch) -> None:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    schedule = SCHEDULE.decode(entry.value)
                    self.versions.setdefault(schedule.name, []).append(schedule)

    async def definitions(self, watch: Watch) -> None:
        while True:
            self.jobs.extend(DEFINITION.decode(e.value) for e in await watch.receive() if e.change == "put")

    def check(self, name: str) -> Counter[str]:
        """Every due time is told of once, and those that are told to be jobs are; return how often each end came."""
        versions = self.versions[name]
        told = {fired for version in versions for fired in version.firings}
        newest = versions[-1]
        assert newest.pending is None
        due: float | None = versions[0].next
        (*_, end) = (version.next for version in versions if version.next is not None)
        ends: Counter[str] = Counter()
        while due is not None and due != end:
            found = [fired for fired in told if covers(fired, due)]
            assert len(found) == 1, f"{name} at {due}: {found}"
            ends[found[0].outcome] += 1
            due = next_due(versions[0], UTC, due)
        assert sum(fired.count for fired in told) == ends.total()
        submitted = {f"{fired.due:.3f}": fired.job for fired in told if fired.outcome == "submitted"}
        jobs = [job for job in self.jobs if (job.key or "").startswith(f"schedule {name} ")]
        assert {(job.key or "").split()[-1]: job.id for job in jobs} == submitted
        assert len(jobs) == len(submitted), "a due time became two jobs"
        counted = {end: getattr(newest, end) for end in ("submitted", "skipped", "missed", "refused")}
        assert counted == {end: ends[end] for end in counted}
        return ends


def covers(fired: osapi.Fired, due: float) -> bool:
    if fired.outcome == "missed":
        return fired.due <= due and (fired.before is None or due < fired.before)
    return fired.due == due


@asynccontextmanager
async def logged(world: World) -> AsyncGenerator[Log]:
    log = Log()
    async with world.broker.connect() as wire, trio.open_nursery() as nursery:
        schedules, jobs = (
            await wire.bucket(schedule_bucket(world.settings)),
            await wire.bucket(job_bucket(world.settings)),
        )
        async with schedules.watch() as changed, jobs.watch("jobs.*") as submitted:
            nursery.start_soon(log.schedules, changed)
            nursery.start_soon(log.definitions, submitted)
            yield log
            await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


class Trouble:
    """What becomes of schedulers, hosts and the wires, by seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)

    def faults(self) -> Faults:
        return Faults(seed=self.random.getrandbits(32), lose=0.1, duplicate=0.1, delay=0.2, reorder=0.2, uncertain=0.1)

    async def schedulers(self) -> None:
        """Run schedulers one after the other, each until it is killed, leaves, or is cut off for a while."""
        while True:
            with trio.move_on_after(self.random.uniform(3, 40)) as life:
                await self._live(life)
            await trio.sleep(self.random.choice((0.0, 1.0, 30.0)) * self.random.random())

    async def _live(self, life: trio.CancelScope) -> None:
        crash = self.random.random() < 0.7
        try:
            async with self.world.broker.connect(faults=self.faults()) as wire:
                try:
                    async with osapi.Scheduler(wire, settings=self.world.settings):
                        while True:
                            await trio.sleep(self.random.uniform(2, 30))
                            wire.disconnect()
                            await trio.sleep(self.random.uniform(0, 15))
                            wire.reconnect()
                except trio.Cancelled:
                    if crash:
                        wire.crash()
                    raise
        except* (osapi.ClosedError, osapi.DisconnectedError, osapi.UncertainError):
            await trio.sleep(1)

    async def hosts(self) -> None:
        """Run an agent that is away now and then, so that nobody may be there to be frozen."""
        while True:
            async with self.world.agent("a"):
                await trio.sleep(self.random.uniform(20, 90))
            await trio.sleep(self.random.uniform(1, 40))


async def run(world: World, client: osapi.Client, trouble: Trouble, count: int) -> None:
    """Let there be trouble, then let one good scheduler bring everything to an end, and pause it there."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble.hosts)
        for _ in range(count):
            nursery.start_soon(trouble.schedulers)
        await trio.sleep(LENGTH)
        nursery.cancel_scope.cancel()
    async with world.broker.connect() as wire, world.agent("a"), osapi.Scheduler(wire, settings=world.settings):
        await trio.sleep(60)
        for name in SCHEDULES:
            await client.schedules.pause(name)
        await trio.sleep(10)


@pytest.mark.parametrize("seed", range(6))
async def test_each_due_time_is_told_of_once(autojump_clock: object, world: World, seed: int) -> None:
    trouble = Trouble(world, seed)
    async with logged(world) as log, world.client() as client:
        for name, options in SCHEDULES.items():
            await client.schedules.set(name, **options)
        await run(world, client, trouble, 1 + seed % 3)
    ends = {name: log.check(name) for name in SCHEDULES}
    assert ends["often"]["submitted"] > 20
