"""The API over real sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import trio

import osapi_api
from osapi_api.app import EXTENSION
from tests.api.conftest import Rest, fleet, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Server:
    """A server, and how to ask it."""

    def __init__(self, api: Rest, url: str) -> None:
        self.api = api
        self.url = url
        self.shutdown = trio.Event()
        self.stopped = trio.Event()
        headers = {"Authorization": f"Bearer {token_of('admin')}"}
        self.client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=20)

    @property
    def address(self) -> tuple[str, int]:
        found = httpx2.URL(self.url)
        assert found.port is not None
        return found.host, found.port

    @property
    def waiting(self) -> int:
        found: int = self.api.app.extensions[EXTENSION][0].waiting
        return found

    async def until_somebody_waits(self) -> None:
        while not self.waiting:
            await trio.sleep(0.01)

    async def not_ready(self) -> bool:
        while (await self.client.get("/health/ready")).status_code == 200:
            await trio.lowlevel.checkpoint()
        return True

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, and return all that comes until the server closes."""
        stream = await trio.open_tcp_stream(*self.address)
        async with stream:
            await stream.send_all(data)
            return b"".join([part async for part in stream])


@asynccontextmanager
async def served(
    *, within: float = 60.0, api_options: osapi_api.Options | None = None, **options: Any
) -> AsyncGenerator[Server]:
    """Serve the API on a free port until the block ends."""
    with trio.fail_after(within):
        quick: dict[str, Any] = {"drain": 0.0, "heartbeat": 0.2, "max_output": 64 << 20}
        async with fleet(options=api_options, **quick) as api, trio.open_nursery() as nursery:
            shutdown = trio.Event()
            stopped = trio.Event()

            async def run(task_status: trio.TaskStatus[list[str]]) -> None:
                await osapi_api.serve(api.app, port=0, shutdown=shutdown, task_status=task_status, **options)
                stopped.set()

            (url,) = await nursery.start(run)
            server = Server(api, url)
            server.shutdown, server.stopped = shutdown, stopped
            async with server.client:
                yield server
            nursery.cancel_scope.cancel()
