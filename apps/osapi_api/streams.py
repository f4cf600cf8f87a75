"""Answers that go on: server-sent events, to readers who are not waited for.

Rules:
  1. Each reader has a buffer of a few events. While that is full the source waits for it, and holds no more than what
     it would tell next. Whoever takes nothing for too long is cut off by `serve`.
  2. Where nothing happens, a comment tells every 5 seconds that the stream is alive.
  3. A stream ends when its source does, when its reader leaves, when the token expires, and when the server stops: then
     with an event `stopping`, so that the reader asks another one, from its last event on.
  4. All that a stream holds is freed when it ends: its tasks are in a nursery inside the request's.
"""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec
import trio
from quart.wrappers.response import ResponseBody
from quart_trio.wrappers import TrioResponse

import osapi
from osapi_api.endpoints import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from quart import Response

    from osapi_api.endpoints import Api, Tell, Write

# In seconds. Proxies close what is silent after a minute, and whoever reads wants to know soon that a server is gone.
ALIVE: Final = 5.0

# After so many milliseconds a browser asks again.
RETRY: Final = 2000

# So many events wait for one reader.
_BUFFER: Final = 16

_STOPPING: Final = ServerSentEvent(event="stopping", data={})

_log = logging.getLogger("osapi.api")


def stream(api: Api, tell: Tell, expires: float, *, empty: bool = False) -> Response:
    """Return a response that tells events until `expires`, in Unix seconds; an empty one of its kind if need be.

    See https://html.spec.whatwg.org/multipage/server-sent-events.html for the format.
    """
    response = TrioResponse(b"" if empty else _Stream(api, tell, expires), content_type="text/event-stream")
    # Quart would end it after a minute, and nginx keep it back.
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"
    return response


def encoded(event: ServerSentEvent) -> bytes:
    """Return an event as it is sent; one without data only moves the reader's last event."""
    lines = [b"id: %s\n" % event.id.encode()] if event.id else []
    if event.event:
        lines += [b"event: %s\n" % event.event.encode(), b"data: %s\n" % msgspec.json.encode(event.data)]
    return b"".join((*lines, b"\n"))


class _Stream(ResponseBody):
    """The body, iterated by Quart in one task between entering and leaving."""

    def __init__(self, api: Api, tell: Tell, expires: float) -> None:
        self._api = api
        self._tell = tell
        self._expires = expires
        self._block = AsyncExitStack()
        self._head = b"retry: %d\n\n" % RETRY

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._open())
            self._block = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._block.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        with trio.move_on_after(ALIVE):
            try:
                return await self._told.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return b":\n\n"

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        send, self._told = trio.open_memory_channel[bytes](_BUFFER)
        if self._api.readers >= self._api.options.max_readers:
            # Others came between the question and the answer.
            send.close()
            yield
            return
        self._api.readers += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, send)
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._api.readers -= 1

    async def _run(self, send: trio.MemorySendChannel[bytes]) -> None:
        async def write(event: ServerSentEvent) -> None:
            await send.send(encoded(event))

        async with send:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                nursery.cancel_scope.deadline = trio.current_time() + self._expires - time.time()
                await self._source(write)
                nursery.cancel_scope.cancel()
            if self._api.stopping.is_set():
                with suppress(trio.WouldBlock):
                    send.send_nowait(encoded(_STOPPING))

    async def _watch(self, scope: trio.CancelScope) -> None:
        await self._api.stopping.wait()
        scope.cancel()

    async def _source(self, write: Write) -> None:
        try:
            await self._tell(write)
        except osapi.OsapiError as error:
            # The reader asks again, and is told then what is wrong.
            _log.warning("a stream of events has ended: %s", error)
        except Exception:  # noqa: BLE001 - the answer has begun, so that the log alone can tell
            _log.exception("a stream of events has failed")
