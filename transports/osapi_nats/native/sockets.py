"""A plain socket, used with fewer calls than a stream makes of it; anything else goes by the stream."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.abc import Stream

# Below what makes allocating it dear.
_CHUNK = 1 << 16

_HAS_PLAIN_SOCKETS = os.name == "posix"  # elsewhere the number of a socket is no file's


def sender(stream: Stream) -> Callable[[bytes], int] | None:
    """Return what sends at once as much as a plain socket takes, and says how much; None for any other stream."""
    if not _HAS_PLAIN_SOCKETS or not isinstance(stream, trio.SocketStream):
        return None
    fileno = stream.socket.fileno

    def send(data: bytes) -> int:
        try:
            return os.write(fileno(), data)
        except OSError:
            return 0  # it takes nothing now, or is broken or closed: the writer finds out

    return send


def receiver(stream: Stream) -> Callable[[], Awaitable[bytes | bytearray]]:
    """Return what waits for bytes and returns some, none at the end; it raises what `receive_some` of a stream does.

    A stream looks whether there are some before it waits. Here there mostly are none: the last look took them all.
    """
    if not _HAS_PLAIN_SOCKETS or not isinstance(stream, trio.SocketStream):
        return partial(stream.receive_some, _CHUNK)
    fileno = stream.socket.fileno

    async def receive() -> bytes:
        while (number := fileno()) >= 0:
            await trio.lowlevel.wait_readable(number)
            try:
                # Asked for again: closed in this very turn, its number may be another's by now.
                return os.read(fileno(), _CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
        raise trio.ClosedResourceError("the socket was closed")

    return receive
