"""Let the last part of an answer be sent to its end, and a request have a path.

When Hypercorn has sent it, it tells the app that the client is done with, and only then closes the connection or starts
to wait for the next request. Quart-Trio takes what it is told as an order to cancel the task that is still sending. So
neither would happen, and connections would stay open for as long as their clients like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    App = Callable[[Any, Receive, Send], Awaitable[None]]


def finishing(app: App) -> App:
    """Return the ASGI app as one that hears of the client's end only when its last part is sent."""

    async def finish(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Answer(receive, send)
        await app({**scope, "path": _path(scope["path"])}, answer.receive, answer.send)

    return finish


def _path(target: str) -> str:
    # Of a target that has no path, or cannot be taken apart, Quart would make a fault.
    if target.startswith("/"):
        return target
    try:
        return f"/{urlsplit(target).path.lstrip('/')}"
    except ValueError:
        return "/"


class _Answer:
    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._ending = False
        self._ended = trio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        self._ending = message["type"] == "http.response.body" and not message.get("more_body", False)
        try:
            await self._send(message)
        finally:
            if self._ending:
                self._ended.set()

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._ending:
            await self._ended.wait()
        return message
