"""What `memory://` URLs open."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from osapi.errors import InvalidSettingError
from osapi_memory.broker import Broker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport

_URL = re.compile(r"memory://([A-Za-z0-9_-]*)")

# By name and run: a broker holds tasks, which belong to one call of trio.run.
_shared: dict[tuple[trio.lowlevel.TrioToken, str], tuple[Broker, int]] = {}


def open_transport(url: str) -> AbstractAsyncContextManager[Transport]:
    """Open a connection for a block: `memory://` to a broker of its own, `memory://name` to a shared one.

    A shared broker lives, within one run of Trio, as long as any block has it open.

    Raises:
        InvalidSettingError: the URL says anything else.

    """
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidSettingError(
            url,
            "is not an in-memory broker's URL",
            "use memory:// for a private broker, or memory://name (letters, digits, - and _) for a shared one",
        )
    return _open_shared(match[1]) if match[1] else _open_private()


@asynccontextmanager
async def _open_private() -> AsyncGenerator[Transport]:
    async with Broker() as broker, broker.connect() as transport:
        yield transport


@asynccontextmanager
async def _open_shared(name: str) -> AsyncGenerator[Transport]:
    key = trio.lowlevel.current_trio_token(), name
    broker, users = _shared.get(key, (Broker(), 0))
    _shared[key] = broker, users + 1
    try:
        async with broker.kept(), broker.connect() as transport:
            yield transport
    finally:
        broker, users = _shared.pop(key)
        if users > 1:
            _shared[key] = broker, users - 1
