"""Claims and results that are written together: each stands for itself, and a lost receipt makes no stranger of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.rules.records import SlotStatus
from osapi_memory import Faults

if TYPE_CHECKING:
    from tests.library.conftest import World

JOBS = 40
SLOW = Faults(seed=1, delay=0.1)

together = osapi.Operations()


@together.query("together.ready")
async def ready(job: osapi.Job) -> str:
    return job.id


@together.query("together.waits")
async def waits(job: osapi.Job) -> str:
    await trio.sleep(3.0)
    return job.id


@pytest.mark.parametrize("seed", range(4))
async def test_lost_receipts_cost_neither_a_lease_nor_a_result(
    world: World, seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    faults = Faults(seed=seed, uncertain=0.4)
    async with (
        world.client(operations=together) as client,
        world.broker.connect(faults=faults) as transport,
    ):
        handles = [await client.submit("together.ready") for _ in range(JOBS)]
        agent = osapi.Agent(transport, together, hostname="a", max_jobs=JOBS, settings=world.settings)
        async with agent:
            for handle in handles:
                answers = await handle.result()
                assert answers["a"].unwrap() == handle.id
                record = handle.records["_any"]
                assert (record.attempt, record.earlier) == (1, ())
    assert agent.counters.lost == 0
    assert agent.counters.slots == {SlotStatus.COMPLETED: JOBS}


async def test_results_that_are_on_their_way_are_given_back(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    # The writes go out one by one, each for up to 0.2 s: when a few results are stored, the others are on their way.
    world.settings = replace(world.settings, ack_wait=100.0)
    async with world.client(operations=together) as client, world.broker.connect(faults=SLOW) as transport:
        handles = [await client.submit("together.waits") for _ in range(JOBS)]
        agent = osapi.Agent(transport, together, hostname="a", max_jobs=JOBS, settings=world.settings)
        with trio.CancelScope() as scope:
            async with agent, trio.open_nursery() as nursery:
                nursery.start_soon(cancel_after, handles, 5, scope)
        released = [handle for handle in handles if not handle.done]
        assert 0 < len(released) < JOBS - 4
        async with world.agent("b", operations=together, max_jobs=JOBS):
            for handle in handles:
                (answer,) = (await handle.result()).values()
                assert answer.unwrap() == handle.id
        for handle in released:
            assert [attempt.outcome for attempt in handle.records["_any"].earlier] == ["released"]


async def cancel_after(handles: list[osapi.JobHandle], few: int, scope: trio.CancelScope) -> None:
    while sum(handle.done for handle in handles) < few:
        await trio.sleep(0.01)
    scope.cancel()
