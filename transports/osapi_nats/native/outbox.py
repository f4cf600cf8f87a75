"""What waits to be sent over one connection; it goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import trio

if TYPE_CHECKING:
    from trio.abc import SendStream

# Large enough to waste no calls, small enough to tell a slow way to the server from none at all.
_PIECE = 1 << 18


class Outbox:
    """Bytes, posted one by one and sent together."""

    def __init__(self) -> None:
        self.size = 0  # bytes that wait or are being sent
        self.sent = 0  # bytes that are gone
        self._waiting: list[bytes] = []
        self._has_some = trio.Event()

    def post(self, data: bytes) -> None:
        """Have it sent after all that was posted before."""
        if not self._waiting:
            self._has_some.set()
        self._waiting.append(data)
        self.size += len(data)

    async def send(self, stream: SendStream) -> NoReturn:
        """Send what comes, for ever; whatever tasks post in one turn goes out at once.

        Raises:
            trio.BrokenResourceError: the connection broke.

        """
        while True:
            await self._has_some.wait()
            self._has_some = trio.Event()
            data = b"".join(self._waiting)
            self._waiting.clear()
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                await stream.send_all(piece)
                self.sent += len(piece)
                self.size -= len(piece)
