from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

import osapi
from osapi_agent import node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
