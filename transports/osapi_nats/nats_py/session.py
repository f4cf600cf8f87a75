"""One connection, from its handshake to its end, on asyncio's thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import nats.errors

from osapi_nats.connection import ServerInfo
from osapi_nats.nats_py.crossing import ToLoop
from osapi_nats.nats_py.dial import hang_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi_nats.connection import Incoming
    from osapi_nats.nats_py.client import Client
    from osapi_nats.nats_py.servers import Address


class Session:
    """Carries commands to a client. What is still in its queue when the connection breaks goes with it."""

    def __init__(self, client: Client, address: Address, receive: Callable[[int, Incoming], None]) -> None:
        self.address = address
        self.server = _server_info(client, address)
        self.to_server = ToLoop(asyncio.get_running_loop())
        self._client = client
        client.receive = receive

    @property
    def told(self) -> list[str]:
        """Return the servers that this one has told of."""
        return list(self._client.info.get("connect_urls") or ())

    @property
    def trouble(self) -> str:
        """Say what broke it."""
        error = self._client.trouble or self._client.last_error
        return str(error) if error else "the server is silent"

    async def run(self) -> None:
        """Carry out what is posted until the connection breaks."""
        writer = asyncio.create_task(self._write())
        end = asyncio.create_task(self._client.ended.wait())
        try:
            await asyncio.wait({writer, end}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
        finally:
            await hang_up(self._client)
            writer.cancel()
            end.cancel()

    async def finish(self, within: float) -> None:
        """Have what was posted so far reach the server, in so many seconds or not at all."""
        flushed = asyncio.Event()
        self.to_server.post(flushed.set)
        waits = {asyncio.create_task(flushed.wait()), asyncio.create_task(self._client.ended.wait())}
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)

    async def _write(self) -> None:
        client = self._client
        with suppress(OSError, nats.errors.Error):  # the connection is breaking; the client ends as well
            while not client.ended.is_set():
                commands: list[bytes] = []
                for item in await self.to_server.take():
                    if isinstance(item, bytes):
                        commands.append(item)
                    else:
                        client.send(commands)
                        commands.clear()
                        client.send_ping(item)
                client.send(commands)
                await client.kick()


def _server_info(client: Client, address: Address) -> ServerInfo:
    info = client.info
    scheme = "tls" if client.tcp.is_tls else "nats"
    return ServerInfo(
        str(info.get("server_name", "")),
        str(info.get("version", "")),
        int(info.get("max_payload", 0)),
        f"{scheme}://{address.server}",
    )
