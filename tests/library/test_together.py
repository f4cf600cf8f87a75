"""Jobs, claims and results that are written together: each stands for itself, whatever becomes of the others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.rules.records import SlotStatus
from osapi_memory import Faults
from osapi_memory.key_value import MemoryKeyValue

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.library.conftest import World

JOBS = 40
SLOW = Faults(seed=1, delay=0.1)

together = osapi.Operations()


@together.query("together.ready")
async def ready(job: osapi.Job) -> str:
    return job.id


@together.query("together.echo")
async def echo(job: osapi.Job, data: str) -> str:
    return data


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


async def submit_at_once(client: osapi.Client, jobs: int, handles: list[osapi.JobHandle]) -> list[osapi.JobHandle]:
    async def submit() -> None:
        handles.append(await client.submit("together.ready"))

    async with trio.open_nursery() as nursery:
        for _ in range(jobs):
            nursery.start_soon(submit)
    return handles


@pytest.mark.parametrize("seed", range(4))
async def test_jobs_submitted_at_once_run_once_each_whatever_receipts_are_lost(
    world: World, seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    faults = Faults(seed=seed, uncertain=0.4, delay=0.05)
    async with (
        world.agent("a", operations=together, max_jobs=JOBS) as agent,
        world.broker.connect(faults=faults) as transport,
        osapi.Client(transport, together, settings=world.settings) as client,
    ):
        handles = await submit_at_once(client, JOBS, [])
        for handle in handles:
            assert (await handle.result())["a"].unwrap() == handle.id
    assert len({handle.id for handle in handles}) == JOBS
    assert agent.counters.slots == {SlotStatus.COMPLETED: JOBS}


async def test_a_job_that_is_refused_costs_the_others_nothing(world: World) -> None:
    ended: dict[int, str] = {}
    sizes = [10, 2 << 20, 20, 3 << 20, 30]

    async def submit(size: int) -> None:
        try:
            handle = await client.submit("together.echo", "x" * size)
        except osapi.PayloadTooLargeError:
            ended[size] = "too large"
        else:
            ended[size] = (await handle.result())["a"].unwrap()

    async with world.agent("a", operations=together), world.client(operations=together) as client:
        async with trio.open_nursery() as nursery:
            for size in sizes:
                nursery.start_soon(submit, size)
        assert len(await client.list()) == 3
    assert ended == {size: "x" * size if size < 100 else "too large" for size in sizes}


@pytest.mark.parametrize("after", [0.0, 0.02, 0.08, 0.15, 0.3, 0.6])
async def test_submissions_that_are_cancelled_leave_nothing_that_runs(
    world: World, after: float, autojump_clock: trio.testing.MockClock
) -> None:
    handles: list[osapi.JobHandle] = []
    async with world.broker.connect(faults=SLOW) as transport:
        async with osapi.Client(transport, together, settings=world.settings) as client:
            with trio.move_on_after(after):
                await submit_at_once(client, JOBS, handles)
        async with world.client(operations=together) as reader, world.agent("a", operations=together) as agent:
            await trio.sleep(5.0)
            # The first of them went by itself, and may have been there in time.
            assert {job.id for job in await reader.list(limit=JOBS)} == {handle.id for handle in handles}
            assert sum(agent.counters.slots.values()) == len(handles) <= 1


@pytest.mark.parametrize("jobs", [1, JOBS])
async def test_what_is_withdrawn_is_removed_though_the_answer_was_lost(
    world: World, jobs: int, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: set[str] = set()
    purge = MemoryKeyValue.purge

    async def purge_at_second(bucket: MemoryKeyValue, key: str, **options: Any) -> int:
        if key not in lost:
            lost.add(key)
            raise osapi.UncertainError("the answer was lost, and the purge with it")
        return await purge(bucket, key, **options)

    handles: list[osapi.JobHandle] = []
    async with world.client(operations=together) as reader:
        for turn in range(12):
            async with (
                world.broker.connect(faults=Faults(seed=turn, delay=0.1)) as transport,
                osapi.Client(transport, together, settings=world.settings) as client,
            ):
                with monkeypatch.context() as patched, trio.move_on_after(0.01 + turn * 0.02):
                    patched.setattr(MemoryKeyValue, "purge", purge_at_second)
                    await submit_at_once(client, jobs, handles)
        assert lost, "nothing was withdrawn"
        assert {job.id for job in await reader.list(limit=100)} == {handle.id for handle in handles}


async def test_those_who_are_not_cancelled_have_their_jobs(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    handles: list[osapi.JobHandle] = []

    async def submit(scope: trio.CancelScope) -> None:
        with scope:
            handles.append(await client.submit("together.ready"))

    async with (
        world.agent("a", operations=together, max_jobs=JOBS) as agent,
        world.broker.connect(faults=SLOW) as transport,
        osapi.Client(transport, together, settings=world.settings) as client,
    ):
        async with trio.open_nursery() as nursery:
            for number in range(JOBS):
                # Three of four are cancelled in the course of the first second, whatever is done with them then.
                wait = number / JOBS if number % 4 else 60.0
                nursery.start_soon(submit, trio.CancelScope(deadline=trio.current_time() + wait))
        assert len(handles) >= JOBS // 4
        for handle in handles:
            assert (await handle.result())["a"].unwrap() == handle.id
        await trio.sleep(5.0)  # what is on its way when it is cancelled may take its time to be removed again
        stored = {job.id for job in await client.list(limit=JOBS)}
        assert stored == {handle.id for handle in handles}
        assert sum(agent.counters.slots.values()) >= len(handles)


async def test_who_is_cancelled_while_others_are_removed_again_has_a_job_already(
    world: World, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    handles: list[osapi.JobHandle] = []
    removing, removed = trio.Event(), trio.Event()
    purge = MemoryKeyValue.purge

    async def held(self: MemoryKeyValue, key: str, **options: int | None) -> int:
        removing.set()
        await removed.wait()
        return await purge(self, key, **options)

    async def submit(scope: trio.CancelScope) -> None:
        with scope:
            handles.append(await client.submit("together.ready"))

    monkeypatch.setattr(MemoryKeyValue, "purge", held)
    alone, early, late = (trio.CancelScope() for _ in range(3))
    async with (
        world.broker.connect(faults=SLOW) as transport,
        osapi.Client(transport, together, settings=world.settings) as client,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit, alone)
            await trio.testing.wait_all_tasks_blocked()
            for scope in (early, late):
                nursery.start_soon(submit, scope)
            await trio.testing.wait_all_tasks_blocked()
            early.cancel()
            await removing.wait()
            late.cancel()
            await trio.testing.wait_all_tasks_blocked()
            removed.set()
        assert early.cancelled_caught
        assert {job.id for job in await client.list()} == {handle.id for handle in handles}


async def test_a_client_that_is_closed_takes_no_jobs(world: World) -> None:
    refused: list[str] = []

    async def submit() -> None:
        with pytest.raises(osapi.ClosedError, match="the client was closed") as caught:
            await client.submit("together.ready")
        refused.append(str(caught.value))

    async with world.broker.connect() as transport, world.client() as reader, world.agent("a", operations=together):
        async with osapi.Client(transport, together, settings=world.settings) as client:
            pass
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(submit)
        assert await reader.list() == []
    assert len(refused) == 3


async def test_a_client_that_closes_leaves_nobody_waiting(world: World, autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []

    async def submit() -> None:
        try:
            await (await client.submit("together.ready")).result()
        except osapi.OsapiError as error:
            ended.append(type(error).__name__)
        else:
            ended.append("answered")

    async with trio.open_nursery() as nursery:
        async with world.broker.connect(faults=SLOW) as transport:
            async with osapi.Client(transport, together, settings=world.settings) as client:
                for _ in range(JOBS):
                    nursery.start_soon(submit)
                await trio.sleep(0.1)
    assert ended == ["ClosedError"] * JOBS


async def test_whoever_observes_attempts_is_told_how_each_was_stored(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[osapi.Attempt] = []

    @contextmanager
    def observer(attempt: osapi.Attempt) -> Generator[None]:
        yield
        seen.append(attempt)

    async with world.client(operations=together) as client, world.broker.connect(faults=SLOW) as transport:
        agent = osapi.Agent(
            transport, together, hostname="a", max_jobs=JOBS, settings=world.settings, observer=observer
        )
        async with agent:
            handles = await submit_at_once(client, JOBS, [])
            for handle in handles:
                await handle.result()
            await trio.sleep(1.0)
            assert {attempt.status for attempt in seen} == {SlotStatus.COMPLETED}
            assert sorted(attempt.job_id for attempt in seen) == sorted(handle.id for handle in handles)
            assert agent.active == 0


async def test_whoever_observes_attempts_that_are_given_back_is_told_nothing_of_their_end(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[osapi.Attempt] = []

    @contextmanager
    def observer(attempt: osapi.Attempt) -> Generator[None]:
        try:
            yield
        finally:
            seen.append(attempt)

    world.settings = replace(world.settings, ack_wait=100.0)
    async with world.client(operations=together) as client, world.broker.connect(faults=SLOW) as transport:
        handles = [await client.submit("together.waits") for _ in range(JOBS)]
        agent = osapi.Agent(
            transport, together, hostname="a", max_jobs=JOBS, settings=world.settings, observer=observer
        )
        with trio.CancelScope() as scope:
            async with agent, trio.open_nursery() as nursery:
                nursery.start_soon(cancel_after, handles, 5, scope)
        assert len(seen) == JOBS
        assert agent.active == 0
        async with world.agent("b", operations=together, max_jobs=JOBS):
            for handle in handles:
                (answer,) = (await handle.result()).values()
                assert answer.unwrap() == handle.id
        ended = {attempt.job_id for attempt in seen if attempt.status is SlotStatus.COMPLETED}
        assert ended <= {handle.id for handle in handles if handle.records["_any"].attempt == 1}
