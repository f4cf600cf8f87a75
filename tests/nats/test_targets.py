"""Groups, selectors and facts on a real server."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import trio

import osapi
from osapi.settings import stream_config
from tests.library.operations import operations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from osapi.transport import Transport

SETTINGS = osapi.Settings(ack_wait=1.0, job_ttl=60.0, within=30.0, heartbeat=0.5, registry_ttl=2.0)
FLEET = {"web-01": ("web.dev", "arm64"), "web-02": ("web.prod", "amd64"), "db-01": ("db.prod", "arm64")}


@pytest.fixture
async def url(nats_server: str) -> AsyncIterator[str]:
    """Return the URL of a namespace of this test's own, whose buckets and streams are gone afterwards."""
    own = f"{nats_server}/?namespace=targets-{uuid4().hex[:8]}"
    yield own
    async with osapi.connect(own) as transport:
        for name in SETTINGS.buckets:
            await transport.delete_bucket(name)
        await transport.delete_stream(SETTINGS.stream)


async def agent(stack: AsyncExitStack, url: str, host: str, offered: osapi.Operations = operations) -> None:
    group, arch = FLEET[host]
    transport = await stack.enter_async_context(osapi.connect(url))
    facts = {"arch": arch, "interface": {"primary": f"eth-{host}"}}
    await stack.enter_async_context(
        osapi.Agent(transport, offered, hostname=host, labels={"group": group}, facts=facts, settings=SETTINGS)
    )


async def consumers(transport: Transport) -> dict[str, int]:
    stream = await transport.stream(stream_config(SETTINGS))
    return {info.config.name: info.waiting for info in await stream.consumers()}


async def test_one_of_a_group(url: str) -> None:
    with trio.fail_after(30):
        async with AsyncExitStack() as stack:
            for host in ("web-01", "web-02", "db-01"):
                await agent(stack, url, host)
            transport = await stack.enter_async_context(osapi.connect(url))
            client = await stack.enter_async_context(osapi.Client(transport, operations, settings=SETTINGS))
            own = {"any", "agent-web-01", "agent-web-02", "agent-db-01"}
            assert (await consumers(transport)).keys() == own
            handles = [await client.submit("test.hostname.get", target="_any@group:web") for _ in range(200)]
            ran = Counter([host for handle in handles for host in await handle.result()])
            assert ran.keys() <= {"web-01", "web-02"}
            assert ran.total() == 200
            assert (await consumers(transport)).keys() == own | {"any-group=3Aweb"}
            narrow = await client.submit("test.hostname.get", target="_any@group:web.prod")
            assert list(await narrow.result()) == ["web-02"]


async def test_a_group_survives_an_agent_and_welcomes_another(url: str) -> None:
    started = trio.Event()
    held = osapi.Operations()

    @held.query("test.hold")
    async def hold(job: osapi.Job) -> int:
        if job.attempt == 1:
            started.set()
            await trio.sleep_forever()
        return job.attempt

    async def live_until_stopped(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            async with AsyncExitStack() as stack:
                await agent(stack, url, "web-01", held)
                task_status.started(scope)
                await trio.sleep_forever()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
            transport = await stack.enter_async_context(osapi.connect(url))
            client = await stack.enter_async_context(osapi.Client(transport, held, settings=SETTINGS))
            # It waits for the first agent, and is then left alone.
            handle = await client.submit("test.hold", target="_any@group:web")
            lone = await nursery.start(live_until_stopped)
            await started.wait()
            lone.cancel()
            await agent(stack, url, "web-02", held)
            assert (await handle.result())["web-02"].unwrap() == 2


async def test_selectors_and_facts(url: str) -> None:
    with trio.fail_after(30):
        async with AsyncExitStack() as stack:
            for host in FLEET:
                await agent(stack, url, host)
            transport = await stack.enter_async_context(osapi.connect(url))
            client = await stack.enter_async_context(osapi.Client(transport, operations, settings=SETTINGS))
            handle = await client.submit("test.echo", ["@fact.interface.primary"], target="fact.arch:arm64,!host:db-*")
            assert {h: a.unwrap() for h, a in (await handle.result()).items()} == {"web-01": ["eth-web-01"]}
            handle = await client.submit("test.hostname.get", target="fact.arch:arm64")
            assert list(await handle.result()) == ["db-01", "web-01"]
            with pytest.raises(osapi.NoAgentsError, match="none has fact.arch:arm46, did you mean arm64"):
                await client.submit("test.hostname.get", target="fact.arch:arm46")
