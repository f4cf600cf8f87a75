"""What `nats://` and `tls://` URLs open."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError
from osapi.nursery import background
from osapi_nats.api import Api
from osapi_nats.link import Link
from osapi_nats.transport import NatsTransport
from osapi_nats.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport
    from osapi_nats.connection import Connection
    from osapi_nats.options import Options

# Each module has an `open_connection`; only the one that is used is imported.
_MODULES = {"native": "osapi_nats.native", "nats-py": "osapi_nats.nats_py"}


def open_transport(url: str) -> AbstractAsyncContextManager[Transport]:
    """Open a connection for a block: `nats://user:password@host:4222,host2:4222/?namespace=prod`.

    See `osapi_nats.options.Options` for what the query may say.

    Raises:
        InvalidSettingError: the URL is wrong.
        DisconnectedError, AccessRefusedError, UnsupportedBrokerError: when the block is entered.

    """
    return open_connection(parse_url(url))


@asynccontextmanager
async def open_connection(options: Options) -> AsyncGenerator[Transport]:
    """Open a connection for a block, for those who have no URL.

    Raises:
        DisconnectedError, AccessRefusedError, UnsupportedBrokerError: when the block is entered.

    """
    async with _driver(options.driver)(options) as connection, background() as nursery:
        link = Link(connection, options.timeout, nursery)
        transport = NatsTransport(Api(link), options.namespace)
        try:
            await transport.check_jetstream()
            yield transport
        finally:
            # Leaving its block the connection sends what was posted: last answers and deletions.
            link.close()


def _driver(name: str) -> Callable[[Options], AbstractAsyncContextManager[Connection]]:
    try:
        found: Callable[[Options], AbstractAsyncContextManager[Connection]]
        found = import_module(_MODULES[name]).open_connection
    except ModuleNotFoundError as error:
        raise InvalidSettingError(name, f"needs {error.name}", "pip install 'osapi[nats]'") from error
    return found
