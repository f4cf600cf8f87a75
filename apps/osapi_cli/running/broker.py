"""The connection to the broker, waited for at the start. Once it was there, it comes back by itself."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

import osapi
from osapi_cli.problems import UnavailableError
from osapi_nats import open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.transport import Transport
    from osapi_cli.running.lifetime import Lifetime
    from osapi_nats import Options

PATIENCE: Final = 30.0

_PAUSES: Final = (0.5, 1.0, 2.0)  # in seconds; then the last one again and again


@asynccontextmanager
async def open_broker(options: Options, lifetime: Lifetime, *, patience: float = PATIENCE) -> AsyncGenerator[Transport]:
    """Connect for the length of a block, trying again for `patience` seconds while nobody answers.

    Raises:
        UnavailableError: nobody answered in time.
        AccessRefusedError, TlsError, UnsupportedBrokerError: the server answered, and trying again would not help.

    """
    async with AsyncExitStack() as stack:
        yield await _connect(stack, options, lifetime, patience)


async def _connect(stack: AsyncExitStack, options: Options, lifetime: Lifetime, patience: float) -> Transport:
    began = trio.current_time()
    tried = 0
    while True:
        try:
            return await stack.enter_async_context(open_connection(options))
        except osapi.DisconnectedError as error:
            pause = _PAUSES[min(tried, len(_PAUSES) - 1)]
            tried += 1
            spent = trio.current_time() - began
            if spent + pause > patience:
                raise UnavailableError(f"{error}; tried {tried} times in {spent:.0f} s") from error
            lifetime.waits(f"the broker is not there: {error}; it is tried again in {pause:g} s")
            await trio.sleep(pause)
