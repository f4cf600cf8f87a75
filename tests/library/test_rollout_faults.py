"""Rollouts under faults: whoever conducts is killed or cut off, and every host still gets its job once, in turn."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import RolloutStatus
from osapi.rules.keys import rollout_key
from osapi.settings import rollout_bucket
from osapi_memory import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.library.conftest import World

HOSTS = ("a", "b", "c", "d", "e", "f", "g")
BATCH = 3


class Scene:
    """One run: who runs when, and what becomes of those who conduct, by seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.started: list[tuple[str, str]] = []
        self.inside: set[str] = set()
        self.together: set[frozenset[str]] = set()
        self.operations = osapi.Operations()

        @self.operations.modify("fleet.update", policy=osapi.Policy(timeout=100.0))
        async def update(job: osapi.Job) -> None:
            self.started.append((job.id, job.host))
            self.inside.add(job.host)
            self.together.add(frozenset(self.inside))
            try:
                await trio.sleep(self.random.uniform(0, 20))
            finally:
                self.inside.discard(job.host)

    def faults(self) -> Faults:
        return Faults(seed=self.random.getrandbits(32), lose=0.1, duplicate=0.1, delay=0.2, reorder=0.2, uncertain=0.1)

    async def conduct(self) -> None:
        """Conduct for a while, then be killed, or leave; another begins a while later."""
        while True:
            with trio.move_on_after(self.random.uniform(5, 60)):
                async with self.world.broker.connect(faults=self.faults()) as wire:
                    try:
                        async with osapi.Client(wire, self.operations, settings=self.world.settings) as client:
                            async with trio.open_nursery() as nursery:
                                nursery.start_soon(client.rollouts.conduct)
                                await trio.sleep(self.random.uniform(1, 30))
                                wire.disconnect()
                                await trio.sleep(self.random.uniform(1, 30))
                                wire.reconnect()
                                await trio.sleep_forever()
                    except* (osapi.DisconnectedError, osapi.UncertainError):
                        pass
                    except* trio.Cancelled:
                        if self.random.random() < 0.5:
                            wire.crash()
                        raise
            await trio.sleep(self.random.uniform(0, 20))


async def patiently(client: osapi.Client, rollout_id: str) -> osapi.Rollout:
    with trio.fail_after(5_000):
        return await client.rollouts.ended(rollout_id)


@pytest.mark.parametrize("seed", range(12))
async def test_every_host_gets_it_once_and_in_turn(autojump_clock: object, world: World, seed: int) -> None:
    scene = Scene(world, seed)
    async with trio.open_nursery() as nursery, world.client(operations=scene.operations) as client:
        for host in HOSTS:
            nursery.start_soon(live, world, scene, host)
        await trio.sleep(5)
        for _ in range(3):
            nursery.start_soon(scene.conduct)
        rollout = await client.rollouts.start("fleet.update", batch=BATCH, canary=1, pause=5.0, max_failures=99)
        if seed % 3 == 0:
            await trio.sleep(scene.random.uniform(0, 60))
            await pause_for_a_while(client, scene, rollout.id)
        done = await patiently(client, rollout.id)
        nursery.cancel_scope.cancel()
    assert done.status is RolloutStatus.COMPLETED
    assert done.failed == 0
    assert [host for _, host in sorted(scene.started, key=lambda run: run[1])] == list(HOSTS)
    batches = [set(done.hosts(number)) for number in range(len(done.batches))]
    assert [len(batch) for batch in batches] == [1, 3, 3]
    assert all(any(group <= batch for batch in batches) for group in scene.together), "two batches at once"
    for batch, after in zip(done.batches, done.batches[1:], strict=False):
        assert batch.ended is not None
        assert after.started >= batch.ended + 5.0


async def live(world: World, scene: Scene, host: str) -> None:
    async with world.agent(host, operations=scene.operations):
        await trio.sleep_forever()


async def pause_for_a_while(client: osapi.Client, scene: Scene, rollout_id: str) -> None:
    try:
        await client.rollouts.pause(rollout_id)
    except osapi.IllegalTransitionError:
        return
    await trio.sleep(150)
    begun = len((await client.rollouts.get(rollout_id)).batches)
    ran = len(scene.started)
    await trio.sleep(200)
    still = await client.rollouts.get(rollout_id)
    assert (len(still.batches), len(scene.started)) == (begun, ran), "something began while it was paused"
    if still.status is RolloutStatus.PAUSED:
        await client.rollouts.resume(rollout_id)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_aborted_starts_nothing_any_more(autojump_clock: object, world: World, seed: int) -> None:
    scene = Scene(world, 100 + seed)
    async with trio.open_nursery() as nursery, world.client(operations=scene.operations) as client:
        for host in HOSTS:
            nursery.start_soon(live, world, scene, host)
        await trio.sleep(5)
        for _ in range(2):
            nursery.start_soon(scene.conduct)
        rollout = await client.rollouts.start("fleet.update", pause=10.0, max_failures=99)
        await trio.sleep(scene.random.uniform(0, 40))
        await client.rollouts.abort(rollout.id)
        # What had begun ends within a second of the order; an agent looks for orders twice a second.
        await trio.sleep(2)
        ran = list(scene.started)
        assert not scene.inside
        done = await patiently(client, rollout.id)
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    assert scene.started == ran
    assert done.status is RolloutStatus.ABORTED


async def test_what_is_over_is_kept_for_its_time_and_no_longer(autojump_clock: object, world: World) -> None:
    scene = Scene(world, 0)
    world.settings = replace(world.settings, rollout_ttl=600.0)
    async with (
        world.agent("a", operations=scene.operations),
        world.client(operations=scene.operations) as client,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(client.rollouts.conduct)
        rollout = await client.rollouts.start("fleet.update")
        await client.rollouts.pause(rollout.id)
        # What is not over waits, however long it may be.
        await trio.sleep(2_000.0)
        await client.rollouts.resume(rollout.id)
        await patiently(client, rollout.id)
        await trio.sleep(world.settings.rollout_ttl - 60.0)
        assert len(await client.rollouts.list()) == 1
        await trio.sleep(120.0)
        assert await client.rollouts.list() == []
        nursery.cancel_scope.cancel()


async def test_a_job_that_was_deleted_counts_as_failed(autojump_clock: object, world: World) -> None:
    scene = Scene(world, 0)
    async with world.client(operations=scene.operations) as client, trio.open_nursery() as nursery:
        async with world.agent("a", operations=scene.operations):
            rollout = await client.rollouts.start("fleet.update", within=60.0)
        await nursery.start(client.rollouts.conduct)
        await trio.sleep(1)
        (batch,) = (await client.rollouts.get(rollout.id)).batches
        await client.delete(batch.job)
        done = await patiently(client, rollout.id)
        nursery.cancel_scope.cancel()
    assert (done.failed, done.failures[0].status) == (1, "lost")


@pytest.mark.parametrize("seed", range(6))
async def test_several_that_all_take_themselves_for_the_one_do_no_harm(
    autojump_clock: object, world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(store: object, key: str, act: Callable[[], Awaitable[None]], *, task_status: Any) -> None:
        task_status.started()
        await act()

    monkeypatch.setattr("osapi.rollouts.serve", serve)
    scene = Scene(world, 200 + seed)

    async def conduct_slowly(*, task_status: trio.TaskStatus[None]) -> None:
        slow = Faults(seed=scene.random.getrandbits(32), delay=0.5, reorder=0.3)
        async with (
            world.broker.connect(faults=slow) as wire,
            osapi.Client(wire, scene.operations, settings=world.settings) as other,
        ):
            await other.rollouts.conduct(task_status=task_status)

    async with trio.open_nursery() as nursery, world.client(operations=scene.operations) as client:
        for host in HOSTS:
            nursery.start_soon(live, world, scene, host)
        await trio.sleep(5)
        for _ in range(3):
            await nursery.start(conduct_slowly)
        rollout = await client.rollouts.start("fleet.update", batch=BATCH, pause=5.0)
        await trio.sleep(scene.random.uniform(0, 20))
        await client.rollouts.pause(rollout.id)
        await trio.sleep(scene.random.uniform(0, 20))
        await client.rollouts.resume(rollout.id)
        done = await patiently(client, rollout.id)
        nursery.cancel_scope.cancel()
    assert (done.status, done.failed) == (RolloutStatus.COMPLETED, 0)
    assert [host for _, host in sorted(scene.started, key=lambda run: run[1])] == list(HOSTS)
    batches = [set(done.hosts(number)) for number in range(len(done.batches))]
    assert all(any(group <= batch for batch in batches) for group in scene.together), "two batches at once"
    assert len({job_id for job_id, _ in scene.started}) == len(done.batches), "one job for each batch"


async def test_one_that_cannot_be_read_keeps_no_other_back(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world, 0)
    async with (
        world.agent("a", operations=scene.operations),
        world.client(operations=scene.operations) as client,
        world.broker.connect() as wire,
        trio.open_nursery() as nursery,
    ):
        bucket = await wire.bucket(rollout_bucket(world.settings))
        await bucket.put(rollout_key("0"), b"{")
        await nursery.start(client.rollouts.conduct)
        rollout = await client.rollouts.start("fleet.update")
        await trio.sleep(1)
        await bucket.put(rollout_key("1"), b"{}")
        assert (await patiently(client, rollout.id)).status is RolloutStatus.COMPLETED
        nursery.cancel_scope.cancel()
    assert caplog.text.count("a rollout cannot be conducted") == 2
