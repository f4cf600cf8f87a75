"""What a program writes: all of it read, so that the program never waits, and as much of it kept as there is room."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.abc import ReceiveStream

ROOM: Final = 256 * 1024


class Output:
    """The first `room` bytes that a program writes to one of its pipes; `tell` hears of all of them as they come."""

    def __init__(self, room: int = ROOM, *, tell: Callable[[bytes | bytearray], None] | None = None) -> None:
        self._room = room
        self._tell = tell
        self._kept = bytearray()
        self._dropped = False

    async def take(self, pipe: ReceiveStream) -> None:
        """Read a pipe to its end and close it. Cancelled, it closes it too, and keeps what was read so far."""
        async with pipe:
            async for chunk in pipe:
                left = self._room - len(self._kept)
                self._kept += chunk[:left]
                self._dropped = self._dropped or len(chunk) > left
                if self._tell is not None:
                    self._tell(chunk)

    def told(self) -> tuple[str, bool]:
        """Return the text and whether some of it is missing; bytes that are no UTF-8 are replaced.

        As JSON the text takes no more than `room` bytes either: what is binary grows up to sixfold there, and a
        broker has limits.
        """
        text = self._kept.decode("utf-8", "replace")
        if _json_size(text) <= self._room:
            return text, self._dropped
        kept = bisect_right(range(len(text)), self._room, key=lambda length: _json_size(text[:length])) - 1
        return text[:kept], True

    def tail(self, length: int) -> str:
        """Return the last characters of what was kept."""
        return self.told()[0][-length:]


def _json_size(text: str) -> int:
    return len(msgspec.json.encode(text)) - len('""')
