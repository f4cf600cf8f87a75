"""Promise 4, as far as an operation's own retries go: only transient errors, on schedule, visible, and honest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import JobStatus, SlotStatus
from osapi.settings import stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_an_hour_of_backoff_takes_no_time(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        began = trio.current_time()
        handle = await client.submit(
            "test.flaky",
            ops.Flaky(failures=3),
            within=3600.0,
            policy=osapi.Policy(attempts=4, backoff=500.0, factor=2.0, max_backoff=3600.0, jitter=0.0),
        )
        answer = (await handle.result())["a"]
        assert trio.current_time() - began == pytest.approx(3500.0, abs=0.5)
    assert (answer.unwrap(), answer.attempts) == (4, 4)


async def test_while_it_waits_it_is_retryable_and_holds_no_place(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        handle = await client.submit("test.flaky", ops.Flaky(failures=2))
        await trio.sleep(30)
        assert handle.status() is JobStatus.RETRYABLE
        assert not handle.done
        record = handle.records["_any"]
        assert record.next_at == pytest.approx(record.updated + 60.0, abs=0.5)
        stream = await wire.stream(stream_config(world.settings))
        assert [info.ack_pending for info in await stream.consumers()] == [0, 0]
        await handle.result()
        assert [e.event for e in handle.timeline()] == [
            "submitted",
            "started",
            "retryable",
            "started",
            "retryable",
            "started",
            "completed",
        ]


@pytest.mark.parametrize(
    ("error", "after", "attempts", "seconds"),
    [
        ("transient", 0.0, 2, 60.0),
        ("os", 0.0, 2, 60.0),
        ("group", 0.0, 2, 60.0),
        ("retry", 0.0, 2, 60.0),
        ("retry", 200.0, 2, 200.0),
        ("mixed", 0.0, 1, 0.0),
        ("anything else", 0.0, 1, 0.0),
    ],
)
async def test_only_what_is_declared_transient_is_tried_again(
    autojump_clock: object, world: World, error: str, after: float, attempts: int, seconds: float
) -> None:
    async with world.agent("a"), world.client() as client:
        began = trio.current_time()
        handle = await client.submit("test.flaky", ops.Flaky(failures=1, after=after, error=error))
        answer = (await handle.result())["a"]
        assert trio.current_time() - began == pytest.approx(seconds, abs=0.5)
    assert answer.attempts == attempts
    assert answer.status is (SlotStatus.COMPLETED if attempts == 2 else SlotStatus.FAILED)


async def test_attempts_are_bounded_and_the_last_error_is_told(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        handle = await client.submit("test.flaky", ops.Flaky(failures=99), within=3600.0)
        answer = (await handle.result())["a"]
    assert (answer.status, answer.attempts, answer.error) == (SlotStatus.FAILED, 5, "TransientError: busy")


async def test_an_attempt_that_would_come_too_late_is_not_promised(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        began = trio.current_time()
        handle = await client.submit("test.flaky", ops.Flaky(failures=1), within=59.0)
        answer = (await handle.result())["a"]
        assert trio.current_time() - began < 1.0
    assert (answer.status, answer.attempts) == (SlotStatus.FAILED, 1)


async def test_a_short_backoff_is_kept_too(autojump_clock: object, world: World) -> None:
    policy = osapi.Policy(attempts=3, backoff=0.25, factor=1.0, jitter=0.0)
    async with world.agent("a"), world.client() as client:
        began = trio.current_time()
        handle = await client.submit("test.flaky", ops.Flaky(failures=2), policy=policy)
        assert (await handle.result())["a"].unwrap() == 3
        assert trio.current_time() - began == pytest.approx(0.5, abs=0.5)


async def test_hosts_of_a_broadcast_retry_on_their_own(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.agent("b"), world.client() as client:
        handle = await client.submit("test.flaky", ops.Flaky(failures=1), target="_all")
        answers = await handle.result()
    assert {host: answer.attempts for host, answer in answers.items()} == {"a": 2, "b": 2}


async def test_another_agent_may_make_the_next_attempt(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        async with world.agent("a"):
            handle = await client.submit("test.flaky", ops.Flaky(failures=1))
            await trio.sleep(1)
        async with world.agent("b"):
            assert list(await handle.result()) == ["b"]
    assert [e.host for e in handle.timeline()] == ["", "a", "a", "b", "b"]


async def test_timeouts_fail_unless_they_are_declared_transient(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client:
        failed = (await (await client.submit("test.slow-to-answer")).result())["a"]
        assert (failed.status, failed.error) == (SlotStatus.FAILED, "timed out after 5 s")
        assert (await (await client.submit("test.patient")).result())["a"].unwrap() == 2


def test_it_is_fast_in_real_time() -> None:
    """Run an hour of backoff a few times over: the clock is virtual, so nothing waits."""

    async def main() -> None:
        operations = osapi.Operations()

        @operations.query("my.job", policy=osapi.Policy(attempts=2, backoff=3000.0, max_backoff=3600.0))
        async def job(job: osapi.Job) -> int:
            if job.attempt == 1:
                raise osapi.Retry
            return job.attempt

        async with (
            osapi.connect("memory://") as transport,
            osapi.Agent(transport, operations, hostname="a"),
            osapi.Client(transport, operations) as client,
        ):
            handle = await client.submit("my.job", within=3600.0)
            assert (await handle.result())["a"].data == 2

    clock = trio.testing.MockClock(autojump_threshold=0.0)
    began = time.monotonic()
    trio.run(main, clock=clock)
    assert clock.current_time() > 2500.0
    assert time.monotonic() - began < clock.current_time()


async def test_an_operation_without_a_policy_has_that_of_the_agents_settings(
    autojump_clock: object, world: World
) -> None:
    own, none = osapi.Operations(), osapi.Policy(attempts=2, pauses=(50.0,), jitter=0.0)

    @own.query("my.own", policy=osapi.Policy(attempts=1))
    async def own_policy(job: osapi.Job) -> int:
        raise osapi.TransientError

    @own.query("my.none")
    async def no_policy(job: osapi.Job) -> int:
        if job.attempt == 1:
            raise osapi.TransientError
        return job.attempt

    world.settings = replace(world.settings, policy=none)
    async with world.agent("a", operations=own), world.client(operations=own) as client:
        began = trio.current_time()
        answers = [(await (await client.submit(name)).result())["a"] for name in ("my.own", "my.none")]
        assert trio.current_time() - began == pytest.approx(50.0, abs=0.5)
        assert [(answer.status, answer.attempts) for answer in answers] == [
            (SlotStatus.FAILED, 1),
            (SlotStatus.COMPLETED, 2),
        ]
        told = await client.submit("my.none", policy=osapi.Policy(attempts=1))
        assert (await told.result())["a"].status is SlotStatus.FAILED
