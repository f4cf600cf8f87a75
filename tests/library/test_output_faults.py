"""Output, progress and large results under faults: bad wires, outages and killed agents, by seed, in virtual time.

Whatever goes wrong: the sequence of a slot only grows at its end, what an attempt wrote is there from its beginning
without a hole or a double, all of it if the attempt ended the job, and who reads live, with breaks, reads what who
comes late reads. A large result is whole.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec import Struct

import osapi
from osapi import SlotStatus
from osapi.rules.codec import RECORD
from osapi.rules.output import places
from osapi.settings import response_bucket
from osapi_memory import Faults

if TYPE_CHECKING:
    from osapi.rules.records import Record
    from osapi.transport import Watch
    from tests.library.conftest import World

HOSTS = ("a", "b", "c")
LARGE = 1_200_000


class Work(Struct):
    lines: int
    large: bool


class Scene:
    """One run: the records as they were written, and what readers have read."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.written: dict[str, list[Record]] = {}
        self.read: dict[str, list[osapi.Chunk]] = {}
        self.operations = osapi.Operations()
        policy = osapi.Policy(attempts=3, backoff=2.0, takeovers=100, timeout=100.0)

        @self.operations.query("fault.write", policy=policy)
        async def write(job: osapi.Job, data: Work) -> str:
            for number in range(data.lines):
                job.output(f"{number} ")
                job.progress(number / data.lines, str(number))
                await trio.sleep(self.random.choice([0.0, 0.1, 1.0]))
                if self.random.random() < 0.01:
                    raise osapi.TransientError("a bad day")
            return "x" * LARGE if data.large else "x"

    def faults(self) -> Faults:
        return Faults(seed=self.random.getrandbits(32), lose=0.1, duplicate=0.1, delay=0.2, reorder=0.2, uncertain=0.1)

    async def watch(self, watch: Watch) -> None:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    self.written.setdefault(entry.key, []).append(RECORD.decode(entry.value))

    async def live(self, host: str) -> None:
        """Run an agent on a bad wire; now and then cut it off, stop it, or kill it and start another."""
        while True:
            with trio.move_on_after(self.random.uniform(20, 60)) as life:
                await self._one_life(host, life)

    async def _one_life(self, host: str, life: trio.CancelScope) -> None:
        async with self.world.broker.connect(faults=self.faults()) as transport:
            try:
                async with osapi.Agent(
                    transport, self.operations, hostname=host, max_jobs=3, settings=self.world.settings
                ):
                    while True:
                        await trio.sleep(self.random.uniform(5, 30))
                        transport.disconnect()
                        await trio.sleep(self.random.uniform(1, 15))
                        transport.reconnect()
            except (osapi.HostnameTakenError, osapi.DisconnectedError, osapi.UncertainError):
                await trio.sleep(1)
            except trio.Cancelled:
                if self.random.random() < 0.7:
                    transport.crash()
                raise

    async def follow(self, client: osapi.Client, handle: osapi.JobHandle) -> None:
        """Read live, and now and then stop and go on from there."""
        read = self.read[handle.id] = []
        after: dict[str, int] = {}
        while not handle.done:
            with suppress(trio.TooSlowError), trio.fail_after(self.random.uniform(1, 20)):
                async with aclosing(client.output(handle.id, after=after)) as chunks:
                    async for chunk in chunks:
                        read.append(chunk)
                        after[chunk.slot] = chunk.position
        read.extend([chunk async for chunk in client.output(handle.id, after=after)])


@pytest.mark.parametrize("seed", range(6))
async def test_output_is_whole_whatever_goes_wrong(autojump_clock: object, world: World, seed: int) -> None:
    scene = Scene(world, seed)
    async with world.broker.connect() as wire, trio.open_nursery() as nursery:
        answers = await wire.bucket(response_bucket(world.settings))
        async with (
            answers.watch("*.*.*") as watch,
            world.client(operations=scene.operations) as client,
            world.client(operations=scene.operations) as other,
        ):
            nursery.start_soon(scene.watch, watch)
            for host in HOSTS:
                nursery.start_soon(scene.live, host)
            await trio.sleep(20)
            handles: list[osapi.JobHandle] = []
            async with trio.open_nursery() as readers:
                for number in range(12):
                    await trio.sleep(scene.random.uniform(0, 5))
                    work = Work(scene.random.randrange(60), large=number % 4 == 0)
                    try:
                        target = scene.random.choice(["_any", "_all"])
                        handle = await client.submit("fault.write", work, target=target, within=250.0)
                    except osapi.NoAgentsError:
                        continue
                    handles.append(handle)
                    readers.start_soon(scene.follow, scene.random.choice([client, other]), handle)
            await trio.sleep(200)
            for handle in handles:
                late = [chunk async for chunk in other.output(handle.id)]
                check_output(scene, handle, late)
                await check_result(handle)
            nursery.cancel_scope.cancel()
    check_growth(scene)
    assert sum(len(record.earlier) for records in scene.written.values() for record in records[-1:]) > 0


def check_output(scene: Scene, handle: osapi.JobHandle, late: list[osapi.Chunk]) -> None:
    live = scene.read[handle.id]
    for slot, record in handle.records.items():
        whole = [chunk for chunk in late if chunk.slot == slot]
        assert [chunk for chunk in live if chunk.slot == slot] == whole
        for attempt in {chunk.attempt for chunk in whole}:
            text = "".join(chunk.text for chunk in whole if chunk.attempt == attempt)
            numbers = [int(number) for number in text.split()]
            assert numbers == list(range(len(numbers)))
            if attempt == record.attempt and record.status is SlotStatus.COMPLETED:
                assert str(len(numbers) - 1) == record.message


async def check_result(handle: osapi.JobHandle) -> None:
    for answer in (await handle.result()).values():
        if answer.status is SlotStatus.COMPLETED:
            assert len(answer.unwrap()) in {1, LARGE}


def check_growth(scene: Scene) -> None:
    for records in scene.written.values():
        before: list[object] = []
        for record in records:
            found = places(record, 0, 10_000)
            assert found[: len(before)] == before
            before = list(found)
