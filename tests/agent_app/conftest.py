from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

import osapi
from osapi_agent import assemble, node
from tests.agent_app.pretended import PretendedSystem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Ask(Protocol):
    async def __call__(self, operation: str) -> osapi.Response: ...


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Submit an operation to an agent that offers the node's, over a real broker, and return its answer."""
    async with (
        osapi.connect("memory://") as transport,
        osapi.Agent(transport, node.operations, hostname="web-01"),
        osapi.Client(transport, node.operations) as client,
    ):

        async def submit(operation: str) -> osapi.Response:
            handle = await client.submit(operation, target="web-01")
            return (await handle.result())["web-01"]

        yield submit


@pytest.fixture
def system(tmp_path: Path) -> PretendedSystem:
    """Return a host that has no programs but those that a test gives it."""
    return PretendedSystem(tmp_path)


@pytest.fixture
def osapi_operations(system: PretendedSystem) -> osapi.Operations:
    return assemble(system, commands=True, signals=True)


class Do(Protocol):
    async def __call__(self, operation: str, **data: Any) -> osapi.Response: ...


@pytest.fixture
def do(osapi_client: osapi.Client, osapi_agent: osapi.Agent) -> Do:
    """Submit an operation to an agent of the pretended host, over a real broker, and return its answer."""

    async def submit(operation: str, **data: Any) -> osapi.Response:
        handle = await osapi_client.submit(operation, data or None, target="test-01")
        return (await handle.result())["test-01"]

    return submit
