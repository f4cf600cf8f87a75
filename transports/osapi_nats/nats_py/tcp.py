"""The bytes under nats-py's client, in place of its own class for them.

That one cannot be cut: closing first sends what waits, for ever if the server hangs. And over TLS it has asyncio print
a warning at each end of a connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nats.aio.transport import Transport

if TYPE_CHECKING:
    import ssl
    from urllib.parse import ParseResult


class Tcp(Transport):
    """A TCP connection, with TLS once that is asked for."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether there ever was a connection."""
        return self._streams is not None

    @property
    def is_tls(self) -> bool:
        """Tell whether it is encrypted."""
        return self._streams is not None and self._streams[1].get_extra_info("sslcontext") is not None

    @property
    def failure(self) -> Exception | None:
        """Return what broke it, None if nothing did or the other side just ended it."""
        return self._streams[0].exception() if self._streams else None

    def abort(self) -> None:
        """Cut it at once."""
        if self._streams:
            self._streams[1].transport.abort()

    def __bool__(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] - nats-py says None and means this
        return True  # or nats-py would put its own in its place

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: float) -> None:
        """Connect to the host and port of a URL."""
        async with asyncio.timeout(connect_timeout):
            self._streams = await asyncio.open_connection(uri.hostname, uri.port, limit=buffer_size)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: float
    ) -> None:
        """Go on in TLS, with a server of this name."""
        name = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            await self._writer.start_tls(ssl_context, server_hostname=name)

    def write(self, payload: bytes) -> None:
        """Send bytes, sooner or later."""
        self._writer.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Send many, sooner or later."""
        self._writer.write(b"".join(payload))

    async def drain(self) -> None:
        """Wait until not much is unsent."""
        await self._writer.drain()

    async def read(self, buffer_size: int) -> bytes:
        """Return what has come, nothing at the end."""
        return await self._reader.read(buffer_size)

    async def readline(self) -> bytes:
        """Return one line."""
        return await self._reader.readline()

    def at_eof(self) -> bool:
        """Tell whether all has been read."""
        return self._streams is None or self._streams[0].at_eof()

    def close(self) -> None:
        """Close it once all is sent."""
        if self._streams:
            self._streams[1].close()

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        if self._streams:
            await self._streams[1].wait_closed()

    @property
    def _reader(self) -> asyncio.StreamReader:
        return self._open()[0]

    @property
    def _writer(self) -> asyncio.StreamWriter:
        return self._open()[1]

    def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise ConnectionError("there is no connection yet")
        return self._streams
