"""A trace goes from who submits to the attempt, also through a retry; attempts are observed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import osapi
from osapi import SlotStatus, tracing
from tests.library import operations as ops
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.promises.conftest import World

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Seen:
    def __init__(self) -> None:
        self.begun: list[osapi.Attempt] = []
        self.ended: list[osapi.Attempt] = []

    @contextmanager
    def observe(self, attempt: osapi.Attempt) -> Generator[None]:
        self.begun.append(attempt)
        assert attempt.status is None
        try:
            yield
        finally:
            self.ended.append(attempt)


async def test_an_attempt_knows_the_trace_of_who_submitted_it(world: World) -> None:
    seen = Seen()
    async with world.agent("a", observer=seen.observe), world.client() as client:
        token = tracing.traceparent.set(PARENT)
        traced = await client.submit("test.echo", 1, target="_all")
        tracing.traceparent.reset(token)
        await traced.result()
        plain = await client.submit("test.echo", 2)
        await plain.result()
        await until(lambda: len(seen.ended) == 2)
        assert [(attempt.job_id, attempt.traceparent) for attempt in seen.ended] == [
            (traced.id, PARENT),
            (plain.id, ""),
        ]
        (first, _) = seen.ended
        assert (first.operation, first.kind, first.host, first.number) == ("test.echo", "query", "a", 1)
        assert first.status is SlotStatus.COMPLETED
        assert client.submitted == 2
        assert client.submitted == len(await client.list())


async def test_a_scheduled_retry_belongs_to_the_same_trace(world: World) -> None:
    seen = Seen()
    policy = osapi.Policy(attempts=2, backoff=1.2, jitter=0.0)
    async with world.agent("a", observer=seen.observe), world.client() as client:
        token = tracing.traceparent.set(PARENT)
        handle = await client.submit("test.flaky", ops.Flaky(failures=1), policy=policy)
        tracing.traceparent.reset(token)
        await handle.result()
        await until(lambda: len(seen.ended) == 2)
    assert [attempt.traceparent for attempt in seen.ended] == [PARENT, PARENT]
    assert [attempt.status for attempt in seen.ended] == [SlotStatus.RETRYABLE, SlotStatus.COMPLETED]


async def test_what_a_key_stands_for_already_is_not_counted(world: World) -> None:
    seen = Seen()
    async with world.client() as client, world.agent("a", observer=seen.observe) as agent:
        for _ in range(2):
            await client.submit("test.echo", 1, key="k")
        assert client.submitted == 1
        await until(lambda: len(seen.ended) == 1)
        assert 0.0 <= agent.heartbeat_age < 5.0


def test_what_is_no_traceparent_names_no_trace() -> None:
    assert tracing.trace_id(PARENT) == "0af7651916cd43dd8448eb211c80319c"
    for wrong in ("", "x", PARENT.upper(), PARENT + "-x", "01" + PARENT[2:], f"00-{'0' * 32}-b7ad6b7169203331-01"):
        assert tracing.trace_id(wrong) == ""
    assert tracing.trace_id(f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01") == ""
