"""Sweepers that live and die, and what was written meanwhile."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

import osapi
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.gather import slots
from osapi.rules.keys import response_key
from osapi.rules.lifecycle import TERMINAL
from osapi.settings import job_bucket, response_bucket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.rules.records import Definition, Record
    from osapi.transport import KeyValue, Watch
    from osapi_memory import Faults
    from tests.library.conftest import World


class Life:
    """A sweeper in a task of its own, on a connection of its own."""

    sweeper: osapi.Sweeper
    transport: Any

    def __init__(self) -> None:
        self.scope = trio.CancelScope()

    @property
    def acting(self) -> bool:
        return self.sweeper.acting

    def leave(self) -> None:
        """End its block."""
        self.scope.cancel()

    def kill(self) -> None:
        """Cut it off, as kill -9 does."""
        self.transport.crash()
        self.scope.cancel()


class Sweepers:
    """Several of them; `most` is how many ever acted at once."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self.world = world
        self.lives: list[Life] = []
        self.most = 0
        self._nursery = nursery

    async def start(self, faults: Faults | None = None) -> Life:
        life: Life = await self._nursery.start(self._live, faults)
        self.lives.append(life)
        return life

    async def _live(self, faults: Faults | None, *, task_status: trio.TaskStatus[Life]) -> None:
        life = Life()
        try:
            with life.scope:
                async with self.world.broker.connect(faults=faults) as transport:
                    life.transport = transport
                    async with osapi.Sweeper(transport, settings=self.world.settings) as life.sweeper:
                        task_status.started(life)
                        await trio.sleep_forever()
        except* osapi.ClosedError:
            assert life.scope.cancel_called, "a process that is killed sees nothing of its end"

    @property
    def acting(self) -> list[Life]:
        return [life for life in self.lives if life.acting]

    async def count(self) -> None:
        """Look every tenth of a second how many act, for as long as the task runs."""
        while True:
            self.most = max(self.most, len(self.acting))
            await trio.sleep(0.1)


@asynccontextmanager
async def sweepers(world: World, count: int) -> AsyncGenerator[Sweepers]:
    """Run so many sweepers; no two of them may ever act at once."""
    async with trio.open_nursery() as nursery:
        some = Sweepers(world, nursery)
        nursery.start_soon(some.count)
        for _ in range(count):
            await some.start()
        yield some
        nursery.cancel_scope.cancel()
    assert some.most <= 1


class Written:
    """Every definition and every record that was ever written, in order."""

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = {}
        self.records: dict[str, list[Record]] = {}

    def of(self, job_id: str) -> dict[str, list[Record]]:
        """Return what was written about each slot of a job."""
        definition = self.definitions[job_id]
        return {slot: self.records.get(response_key(definition.origin, job_id, slot), []) for slot in slots(definition)}

    def check_all_ended_once(self) -> None:
        for job_id in self.definitions:
            for slot, records in self.of(job_id).items():
                ended = [record for record in records if record.status in TERMINAL]
                assert ended == records[-1:], f"{job_id} {slot}: {[record.status for record in records]}"
                assert len(ended) == 1, f"{job_id} {slot} was never ended"

    async def follow(self, jobs: KeyValue, answers: KeyValue, *, task_status: trio.TaskStatus[None]) -> None:
        async with jobs.watch("jobs.*") as submitted, answers.watch() as answered, trio.open_nursery() as nursery:
            nursery.start_soon(self._definitions, submitted)
            nursery.start_soon(self._records, answered)
            task_status.started()

    async def _definitions(self, watch: Watch) -> None:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    definition = DEFINITION.decode(entry.value)
                    self.definitions[definition.id] = definition

    async def _records(self, watch: Watch) -> None:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    self.records.setdefault(entry.key, []).append(RECORD.decode(entry.value))


@asynccontextmanager
async def written(world: World) -> AsyncGenerator[Written]:
    """Note what is written for the length of the block."""
    async with world.broker.connect() as wire, trio.open_nursery() as nursery:
        jobs, answers = (
            await wire.bucket(job_bucket(world.settings)),
            await wire.bucket(response_bucket(world.settings)),
        )
        log = Written()
        await nursery.start(log.follow, jobs, answers)
        yield log
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
