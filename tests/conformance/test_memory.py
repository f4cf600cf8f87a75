"""The in-memory broker keeps every guarantee, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import osapi_memory
from osapi.conformance import CHECKS

if TYPE_CHECKING:
    from trio.testing import MockClock

    from osapi.conformance import Check


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_the_memory_broker_conforms(check: Check, autojump_clock: MockClock) -> None:
    async with osapi_memory.open_transport("memory://") as transport:
        await check.run(transport)
