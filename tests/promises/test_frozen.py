"""Promise 3: targets are frozen at submit, and promise 5: nothing outlives its job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi import SlotStatus
from osapi.rules.keys import job_key
from osapi.settings import job_bucket, stream_config
from tests.library import operations as ops
from tests.promises.conftest import until

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_who_joins_later_never_runs_an_old_broadcast(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        await until(lambda: len(client.fleet.registered()) == 1)
        handle = await client.submit("test.hostname.get", target="_all")
        async with world.agent("b"):
            assert list(await handle.result()) == ["a"]
            await (await client.submit("test.hostname.get", target="b")).result()  # b has heard what there was
            assert ops.started[handle.id, "b"] == 0


async def test_each_frozen_host_ends_in_a_named_state(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b") as silent:
        await until(lambda: len(client.fleet.registered()) == 2)
        await client.fleet.drain("b")
        await until(lambda: silent.state == "Cordoned")
        handle = await client.submit("test.hostname.get", target="_all", start_within=2.0)
        answers = await handle.result()
        assert {host: answer.status for host, answer in answers.items()} == {
            "a": SlotStatus.COMPLETED,
            "b": SlotStatus.EXPIRED,
        }
    assert ops.started[handle.id, "b"] == 0


async def test_a_deleted_job_is_not_executed(world: World) -> None:
    """Its notification is there when the agent comes, and its definition is not."""
    async with world.client() as client:
        handle = await client.submit("test.hostname.get")
        async with world.connect() as transport:
            bucket = await transport.bucket(job_bucket(world.settings))
            await bucket.delete(job_key(handle.id))
            stream = await transport.stream(stream_config(world.settings))
            async with world.agent("a") as agent:
                await until(lambda: agent.counters.late == 1)
                await trio.sleep(0.1)
                assert [info.ack_pending for info in await stream.consumers()] == [0, 0]
    assert ops.started[handle.id, "a"] == 0
