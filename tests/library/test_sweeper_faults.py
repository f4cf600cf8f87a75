"""Every job with a deadline ends in one terminal record, whoever dies, and no two sweepers act at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi_memory import Faults
from tests.library import operations as ops
from tests.library.sweepers import Life, Sweepers, sweepers, written

if TYPE_CHECKING:
    from osapi.transport import Transport
    from tests.library.conftest import World

JOBS = 40
HOSTS = ("a", "b", "c")
TARGETS = ("_any", "_any", "_all", "a")


class Trouble:
    """What becomes of clients, agents and sweepers, by seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.submitted = 0

    def faults(self) -> Faults:
        return Faults(seed=self.random.getrandbits(32), lose=0.1, duplicate=0.1, delay=0.2, reorder=0.2, uncertain=0.1)

    async def submit(self) -> None:
        """Submit a few jobs at a time, each time as another client, which does not wait for any of them."""
        while self.submitted < JOBS:
            await trio.sleep(self.random.uniform(0, 20))
            crash = self.random.random() < 0.5
            try:
                async with self.world.broker.connect() as wire, self.client(wire) as client:
                    for _ in range(self.random.randrange(1, 5)):
                        await self._submit_one(client)
                    if crash:
                        wire.crash()
            except osapi.ClosedError:
                assert crash

    def client(self, wire: Transport) -> osapi.Client:
        return osapi.Client(wire, ops.operations, settings=self.world.settings)

    async def _submit_one(self, client: osapi.Client) -> None:
        seconds, within = self.random.uniform(0, 60), self.random.uniform(1, 100)
        try:
            await client.submit("test.sleep", ops.Sleep(seconds), target=self.random.choice(TARGETS), within=within)
        except (osapi.NoAgentsError, osapi.UnknownHostError):
            return
        self.submitted += 1

    async def host(self, hostname: str) -> None:
        """Run an agent, kill it, leave it dead for a while."""
        while True:
            async with self.world.mortal(hostname, max_jobs=2) as mortal:
                await trio.sleep(self.random.uniform(5, 60))
                mortal.kill()
            await trio.sleep(self.random.uniform(35, 60))

    async def harass(self, some: Sweepers) -> None:
        """Kill sweepers, cut them off, let them leave and start others; two are left alone now and then."""
        while True:
            await trio.sleep(self.random.uniform(1, 40))
            life = self.random.choice(some.lives)
            await self.random.choice((self._replace, self._cut_off))(some, life)

    async def _replace(self, some: Sweepers, life: Life) -> None:
        some.lives.remove(life)
        self.random.choice((life.kill, life.leave))()
        await some.start(self.faults())

    async def _cut_off(self, some: Sweepers, life: Life) -> None:
        life.transport.disconnect()
        await trio.sleep(self.random.uniform(1, 60))
        life.transport.reconnect()


@pytest.mark.parametrize("seed", range(6))
async def test_every_job_ends_once_whoever_dies(autojump_clock: object, world: World, seed: int) -> None:
    trouble = Trouble(world, seed)
    async with written(world) as log, sweepers(world, 3) as some:
        async with trio.open_nursery() as nursery:
            for hostname in HOSTS:
                nursery.start_soon(trouble.host, hostname)
            nursery.start_soon(trouble.harass, some)
            await trouble.submit()
            await trio.sleep(100)
            nursery.cancel_scope.cancel()
        for life in some.lives:
            life.transport.reconnect()
        await trio.sleep(3 * world.settings.registry_ttl + 120)
    assert len(log.definitions) >= JOBS
    log.check_all_ended_once()
