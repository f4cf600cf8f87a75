"""The fixtures that the plugin gives to programs that embed osapi."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

import osapi

if TYPE_CHECKING:
    from osapi_memory import Broker


class Greeting(msgspec.Struct):
    text: str


@pytest.fixture
def osapi_operations() -> osapi.Operations:
    operations = osapi.Operations()

    @operations.query("greeting.get")
    async def greet(job: osapi.Job, data: str) -> Greeting:
        return Greeting(f"hello {data} from {job.host}")

    @operations.query("greeting.late")
    async def greet_late(job: osapi.Job) -> Greeting:
        if job.attempt == 1:
            raise osapi.TransientError("not yet")
        return Greeting("at last")

    return operations


@pytest.mark.parametrize("target", ["_any", "_all", "test-01", "group:test"])
async def test_a_job_reaches_the_agent(osapi_agent: osapi.Agent, osapi_client: osapi.Client, target: str) -> None:
    handle = await osapi_client.submit("greeting.get", "you", target=target)
    answers = await handle.result()
    assert answers["test-01"].unwrap() == Greeting("hello you from test-01")


async def test_the_agent_is_test_01_in_group_test(osapi_agent: osapi.Agent, osapi_client: osapi.Client) -> None:
    known = osapi_client.fleet.registration("test-01")
    assert (osapi_agent.hostname, known.labels) == ("test-01", {"group": "test"})


async def test_without_the_agent_nobody_is_there(osapi_client: osapi.Client) -> None:
    assert list(osapi_client.fleet.registered()) == []


async def test_more_agents_join_over_the_same_broker(
    osapi_broker: Broker, osapi_agent: osapi.Agent, osapi_client: osapi.Client, osapi_operations: osapi.Operations
) -> None:
    async with (
        osapi_broker.connect() as transport,
        osapi.Agent(transport, osapi_operations, hostname="test-02"),
    ):
        # A client hears of an agent a moment after it joined.
        while len(osapi_client.fleet.registered()) < 2:
            await trio.sleep(0.001)
        handle = await osapi_client.submit("greeting.get", "you", target="_all")
        assert sorted(await handle.result()) == ["test-01", "test-02"]


async def test_an_hour_of_backoff_takes_no_time(
    autojump_clock: object, osapi_agent: osapi.Agent, osapi_client: osapi.Client
) -> None:
    policy = osapi.Policy(attempts=2, backoff=3000.0, max_backoff=3600.0, jitter=0.0)
    began = trio.current_time()
    handle = await osapi_client.submit("greeting.late", policy=policy, within=3600.0)
    answer = (await handle.result())["test-01"]
    assert (answer.unwrap(), answer.attempts) == (Greeting("at last"), 2)
    assert trio.current_time() - began == pytest.approx(3000.0, abs=1.0)
