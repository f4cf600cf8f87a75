"""Promise 2: an attempt is fenced by its lease, and promise 1: one of N is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.rules.codec import RECORD
from osapi.settings import response_bucket
from tests.library import operations as ops
from tests.promises.conftest import PATIENCE, until

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_one_of_n_is_one(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b"), world.agent("c"):
        handles = [await client.submit("test.hostname.get") for _ in range(60)]
        for handle in handles:
            (response,) = (await handle.result()).values()
            assert (response.status, response.attempts) == (SlotStatus.COMPLETED, 1)
        for handle in handles:
            assert sum(ops.started[handle.id, host] for host in "abc") == 1


async def test_a_job_longer_than_ack_wait_runs_once(world: World) -> None:
    world.settings = replace(world.settings, ack_wait=2.0)
    async with world.client() as client, world.agent("a"), world.agent("b"):
        handle = await client.submit("test.sleep", ops.Sleep(10.0))
        (response,) = (await handle.result()).values()
        assert (response.status, response.attempts) == (SlotStatus.COMPLETED, 1)
        assert ops.started[handle.id, "a"] + ops.started[handle.id, "b"] == 1


async def test_a_result_under_a_stale_lease_is_refused(world: World) -> None:
    once = osapi.Operations()
    taken = trio.Event()
    cut_off = trio.Event()

    @once.query("test.taken-over")
    async def run(job: osapi.Job) -> str:
        taken.set()
        try:
            await trio.sleep_forever()
        finally:
            cut_off.set()

    async with world.client(operations=once) as client, world.agent("a", operations=once) as agent:
        handle = await client.submit("test.taken-over", target="a")
        with trio.fail_after(PATIENCE):
            await taken.wait()
        # Somebody else takes the slot over and ends it, as after a lease that had run out.
        async with world.connect() as transport:
            bucket = await transport.bucket(response_bucket(world.settings))
            (key,) = [key for key in await bucket.keys() if handle.id in key]
            entry = await bucket.get(key)
            assert entry is not None
            record = RECORD.decode(entry.value)
            stolen = replace(record, lease="stolen", status=SlotStatus.FAILED, error="by a thief", lease_until=0.0)
            await bucket.update(entry.key, RECORD.encode(stolen), entry.revision)
        with trio.fail_after(PATIENCE):
            await cut_off.wait()
        await until(lambda: agent.counters.lost == 1)
        response = (await handle.result())["a"]
        assert (response.status, response.error) == (SlotStatus.FAILED, "by a thief")
