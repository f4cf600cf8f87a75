"""Rollouts: batch after batch, halted by failures, paused, resumed and aborted by anybody, carried on by another."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus, RolloutStatus, SlotStatus
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.promises.conftest import World

HOSTS = ("a", "b", "c", "d", "e")


class Fleet:
    """Five agents and what they ran, in order; `bad` ones fail, and all wait while the gate is shut."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.bad: set[str] = set()
        self.gate = trio.Event()
        self.gate.set()
        self.operations = osapi.Operations()

        @self.operations.modify("fleet.update")
        async def update(job: osapi.Job, data: str) -> str:
            self.ran.append(job.host)
            await self.gate.wait()
            if job.host in self.bad:
                raise ValueError(f"{data} does not start")
            return data

    def shut(self) -> None:
        self.gate = trio.Event()


@asynccontextmanager
async def fleet(world: World) -> AsyncGenerator[tuple[Fleet, osapi.Client]]:
    some = Fleet()
    async with trio.open_nursery() as nursery, world.client(operations=some.operations) as client:

        async def live(host: str, *, task_status: trio.TaskStatus[None]) -> None:
            async with world.agent(host, operations=some.operations):
                task_status.started()
                await trio.sleep_forever()

        for host in HOSTS:
            await nursery.start(live, host)
        await until(lambda: len(client.fleet.registered()) == len(HOSTS))
        yield some, client
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def conducting(world: World) -> AsyncGenerator[None]:
    async with world.client() as client, trio.open_nursery() as nursery:
        await nursery.start(client.rollouts.conduct)
        yield
        nursery.cancel_scope.cancel()


async def over(client: osapi.Client, rollout_id: str) -> osapi.Rollout:
    with trio.fail_after(20):
        return await client.rollouts.ended(rollout_id)


async def test_a_canary_then_batches_each_after_the_other(world: World) -> None:
    async with fleet(world) as (some, client), conducting(world):
        started = await client.rollouts.start("fleet.update", "v2", batch="40%", canary=1, pause=0.3)
        states = [state async for state in client.rollouts.follow(started.id)]
        done = states[-1]
        assert done.status is RolloutStatus.COMPLETED
        assert some.ran[0] == "a"
        assert [set(some.ran[1:3]), set(some.ran[3:])] == [{"b", "c"}, {"d", "e"}]
        assert [batch.outcomes for batch in done.batches] == [{"completed": 1}, {"completed": 2}, {"completed": 2}]
        for before, after in zip(done.batches, done.batches[1:], strict=False):
            assert before.ended is not None
            assert after.started >= before.ended + 0.3
        assert await client.rollouts.get(started.id) == done
        assert await client.rollouts.list() == [done]
        jobs = [await client.get(batch.job) for batch in done.batches]
        assert [job.definition.expected for job in jobs] == [("a",), ("b", "c"), ("d", "e")]
        assert {job.definition.rollout for job in jobs} == {started.id}


async def test_it_halts_at_failures_and_goes_on_when_told(world: World) -> None:
    async with fleet(world) as (some, client), conducting(world):
        some.bad = {"b"}
        started = await client.rollouts.start("fleet.update", "v2", batch=2)
        halted = await over(client, started.id)
        assert (halted.status, halted.failed) == (RolloutStatus.HALTED, 1)
        assert [(end.host, end.error) for end in halted.failures] == [("b", "ValueError: v2 does not start")]
        assert halted.waiting == ("c", "d", "e")
        assert sorted(some.ran) == ["a", "b"]
        await client.rollouts.resume(started.id, by="alice", reason="b is being replaced")
        done = await over(client, started.id)
        assert (done.status, done.by) == (RolloutStatus.COMPLETED, "alice")
        assert sorted(some.ran) == list(HOSTS)
        # A batch that is retried goes to its own hosts, and not to all that the target matches.
        again = await client.retry(done.batches[0].job)
        answers = await again.result()
        assert {host: answer.status for host, answer in answers.items()} == {
            "a": SlotStatus.COMPLETED,
            "b": SlotStatus.FAILED,
        }


async def test_pause_lets_no_batch_begin_and_another_goes_on(world: World) -> None:
    async with fleet(world) as (some, client):
        some.shut()
        started = await client.rollouts.start("fleet.update", "v2", batch=3)
        async with conducting(world):
            await until(lambda: len(some.ran) == 3)
            paused = await client.rollouts.pause(started.id, reason="lunch")
            assert (paused.status, paused.reason) == (RolloutStatus.PAUSED, "lunch")
            with pytest.raises(osapi.IllegalTransitionError, match="a rollout that is paused cannot pause"):
                await client.rollouts.pause(started.id)
        some.gate.set()
        # Nobody conducts now; the job of the batch has ended all the same.
        await client.rollouts.resume(started.id)
        async with conducting(world):
            assert (await over(client, started.id)).status is RolloutStatus.COMPLETED
        assert sorted(some.ran) == list(HOSTS)


async def test_abort_cancels_what_runs(world: World) -> None:
    async with fleet(world) as (some, client), conducting(world):
        some.shut()
        started = await client.rollouts.start("fleet.update", "v2", batch=3)
        await until(lambda: len(some.ran) == 3)
        await client.rollouts.abort(started.id, by="bob", reason="wrong build")
        done = await over(client, started.id)
        assert (done.status, done.is_over, done.by) == (RolloutStatus.ABORTED, True, "bob")
        assert done.batches[0].outcomes == {"cancelled": 3}
        job = await client.get(done.batches[0].job)
        assert job.status is JobStatus.CANCELLED
        assert f"rollout {started.id} was aborted: wrong build" in (job.records["a"].error or "")
        assert len(some.ran) == 3


async def test_aborted_before_its_job_was_submitted_nothing_starts(world: World) -> None:
    async with fleet(world) as (some, client):
        started = await client.rollouts.start("fleet.update", "v2")
        await client.rollouts.abort(started.id)
        async with conducting(world):
            assert (await over(client, started.id)).batches == ()
        assert some.ran == []


async def test_two_conduct_and_one_acts(world: World) -> None:
    async with fleet(world) as (some, client), conducting(world), conducting(world):
        for _ in range(3):
            started = await client.rollouts.start("fleet.update", "v2", batch=2)
            assert (await over(client, started.id)).status is RolloutStatus.COMPLETED
        assert sorted(some.ran) == sorted(HOSTS * 3)


async def test_a_part_of_the_fleet(world: World) -> None:
    async with fleet(world) as (some, client), conducting(world):
        started = await client.rollouts.start("fleet.update", "v2", target="host:*,!host:c", batch=9)
        assert (await over(client, started.id)).batches[0].outcomes == {"completed": 4}
        assert sorted(some.ran) == ["a", "b", "d", "e"]


async def test_bad_input_is_refused_and_nothing_is_stored(world: World) -> None:
    async with fleet(world) as (_, client):
        for error, change in (
            (osapi.InvalidTargetError, {"target": "_any"}),
            (osapi.NoAgentsError, {"target": "group:nobody"}),
            (osapi.UnknownHostError, {"target": "zz"}),
            (osapi.InvalidSettingError, {"batch": 0}),
            (osapi.InvalidSettingError, {"batch": "7"}),
            (osapi.InvalidSettingError, {"canary": -1}),
            (osapi.InvalidSettingError, {"pause": -1.0}),
            (osapi.InvalidSettingError, {"max_failures": -1}),
            (osapi.InvalidSettingError, {"within": 1e9}),
            (osapi.InvalidSettingError, {"start_within": 1e9}),
            (osapi.InvalidSettingError, {"by": "two\nlines"}),
            (osapi.InvalidPayloadError, {"data": 5}),
        ):
            with pytest.raises(error):
                await client.rollouts.start("fleet.update", **{"data": "v2", **change})  # type: ignore[arg-type]
        with pytest.raises(osapi.UnknownOperationError):
            await client.rollouts.start("fleet.upgrade", "v2")
        assert await client.rollouts.list() == []
        with pytest.raises(osapi.UnknownRolloutError, match="there is no rollout '0a'"):
            await client.rollouts.get("0a")
        with pytest.raises(osapi.InvalidKeyError):
            await client.rollouts.pause("../x")
        with pytest.raises(osapi.InvalidSettingError, match="out of range for limit"):
            await client.rollouts.list(limit=0)
