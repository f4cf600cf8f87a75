"""Let the last part of an answer be sent to its end, and a request have a path and a host.

When Hypercorn has sent it, it tells the app that the client is done with, and only then closes the connection or starts
to wait for the next request. Quart-Trio takes what it is told as an order to cancel the task that is still sending. So
neither would happen, and connections would stay open for as long as their clients like.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from osapi_api.problems import CONTENT_TYPE, ProblemError, body_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    App = Callable[[Any, Receive, Send], Awaitable[None]]


def finishing(app: App) -> App:
    """Return the ASGI app as one that hears of the client's end only when its last part is sent."""

    async def finish(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if not _has_host(scope["headers"]):
            await _refuse(send)
            return
        answer = _Answer(receive, send)
        await app({**scope, "path": _path(scope["path"])}, answer.receive, answer.send)

    return finish


def _has_host(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    # Werkzeug makes a name of it, and where it is none a fault that nobody catches.
    try:
        for name, value in headers:
            if name.lower() in {b"host", b":authority"}:
                value.decode("latin-1").encode("idna")
    except UnicodeError:
        return False
    return True


async def _refuse(send: Send) -> None:
    body = body_of(ProblemError(400, "the Host of the request is no name of one"), uuid.uuid4().hex)
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})


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
