"""Promises 1, 2, 3 and 5 under faults: bad wires, outages and killed agents, by seed, in virtual time.

Whatever goes wrong, every job that was submitted ends in exactly one terminal record for each of its slots, nothing
outside the frozen list answers, and no attempt completes twice under one lease.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec import Struct

import osapi
from osapi.rules.codec import RECORD
from osapi.rules.gather import slots
from osapi.rules.keys import parse_response_key
from osapi.rules.lifecycle import TERMINAL
from osapi.settings import response_bucket
from osapi_memory import Faults
from tests.library.operations import operations as ops_registry

if TYPE_CHECKING:
    from osapi.rules.records import Record
    from osapi.transport import Watch
    from tests.library.conftest import World

HOSTS = ("a", "b", "c")
TARGETS = ("_any", "_any@group:web", "_any@group:web.dev", "_all", "b", "group:web", "group:web,!host:a", "!group:web")


class Work(Struct):
    seconds: float


class Scene:
    """One run: what was written about each slot, and which attempts came to their end."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.written: dict[str, list[Record]] = {}
        self.ends: list[tuple[str, str, int]] = []
        self.operations = osapi.Operations()
        self.operations.include(ops_registry)

        @self.operations.query("fault.work", policy=osapi.Policy(attempts=3, backoff=5.0, takeovers=100, timeout=100.0))
        async def work(job: osapi.Job, data: Work) -> int:
            await trio.sleep(data.seconds)
            self.ends.append((job.id, job.host, job.attempt))
            return job.attempt

    def faults(self) -> Faults:
        return Faults(seed=self.random.getrandbits(32), lose=0.1, duplicate=0.1, delay=0.2, reorder=0.2, uncertain=0.1)

    async def watch(self, watch: Watch) -> None:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    self.written.setdefault(entry.key, []).append(RECORD.decode(entry.value))

    async def live(self, host: str) -> None:
        """Run an agent on a bad wire; now and then cut it off for a while, or kill it and start another."""
        while True:
            with trio.move_on_after(self.random.uniform(20, 60)):
                await self._one_life(host)

    async def _one_life(self, host: str) -> None:
        options = {"labels": {"group": "web.dev" if host != "c" else "db"}, "settings": self.world.settings}
        async with self.world.broker.connect(faults=self.faults()) as transport:
            try:
                async with osapi.Agent(transport, self.operations, hostname=host, max_jobs=3, **options):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                    while True:
                        await trio.sleep(self.random.uniform(5, 30))
                        transport.disconnect()
                        await trio.sleep(self.random.uniform(1, 15))
                        transport.reconnect()
            except (osapi.HostnameTakenError, osapi.DisconnectedError, osapi.UncertainError):
                await trio.sleep(1)
            except trio.Cancelled:
                transport.crash()
                raise


@pytest.mark.parametrize("seed", range(6))
async def test_every_job_ends_once_whatever_goes_wrong(autojump_clock: object, world: World, seed: int) -> None:
    scene = Scene(world, seed)
    async with world.broker.connect() as wire, trio.open_nursery() as nursery:
        answers = await wire.bucket(response_bucket(world.settings))
        async with answers.watch() as watch, world.client(operations=scene.operations) as client:
            nursery.start_soon(scene.watch, watch)
            for host in HOSTS:
                nursery.start_soon(scene.live, host)
            await trio.sleep(20)
            handles: list[osapi.JobHandle] = []
            for _ in range(30):
                await trio.sleep(scene.random.uniform(0, 3))
                target = scene.random.choice(TARGETS)
                try:
                    job = Work(scene.random.uniform(0, 25))
                    handles.append(await client.submit("fault.work", job, target=target, within=250.0))
                except (osapi.NoAgentsError, osapi.UnknownHostError):
                    continue
            for handle in handles:
                await handle.result()
            await trio.sleep(200)
            nursery.cancel_scope.cancel()
    assert len(handles) > 10
    check(scene, handles)


def check(scene: Scene, handles: list[osapi.JobHandle]) -> None:
    known = {handle.id: handle for handle in handles}
    seen: dict[str, set[str]] = {}
    for key, records in scene.written.items():
        _, job_id, slot = parse_response_key(key)
        seen.setdefault(job_id, set()).add(slot)
        ended = [record for record in records if record.status in TERMINAL]
        assert ended == records[-1:], f"{key}: {[record.status for record in records]}"
        leases: dict[str, int] = {}
        for record in records:
            if record.lease:
                assert leases.setdefault(record.lease, record.attempt) == record.attempt
    for job_id, handle in known.items():
        assert seen[job_id] == set(slots(handle.definition)), "each slot has its record, and nobody else answered"
    assert len(scene.ends) == len(set(scene.ends)), "an attempt came to its end twice"
