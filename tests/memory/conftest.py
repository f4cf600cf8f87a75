"""A broker in virtual time, and one connection to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from osapi_memory import Broker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from osapi_memory import MemoryTransport


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker() as broker:
        yield broker


@pytest.fixture
async def transport(broker: Broker) -> AsyncIterator[MemoryTransport]:
    async with broker.connect() as transport:
        yield transport
