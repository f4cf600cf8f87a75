"""Queues between Trio's thread and asyncio's: one wake-up, however many items follow before it is heeded."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

Call: TypeAlias = "tuple[Callable[..., None], tuple[object, ...]]"


class ToTrio:
    """Plain calls made on asyncio's thread, carried out in order on Trio's."""

    def __init__(self, token: trio.lowlevel.TrioToken, crash: Callable[[Exception], None]) -> None:
        self._token = token
        self._crash = crash
        self._calls: deque[Call] = deque()
        self._is_due = False
        self._has_ended = False

    def post(self, call: Callable[..., None], *arguments: object) -> None:
        """Have a call made on Trio's thread; what it raises goes to `crash`."""
        self._calls.append((call, arguments))
        # Set before the queue is read, so whoever sees it set has appended in time.
        if not self._is_due:
            self._is_due = True
            self._token.run_sync_soon(self._carry_out)

    def end(self) -> None:
        """Drop what is left and what comes; for Trio's thread."""
        self._has_ended = True

    def _carry_out(self) -> None:
        self._is_due = False
        calls = self._calls
        # No more than are there now: what comes meanwhile has its own turn, and other tasks have theirs in between.
        for _ in range(len(calls)):
            call, arguments = calls.popleft()
            if self._has_ended:
                continue
            try:
                call(*arguments)
            except Exception as error:  # noqa: BLE001 - in Trio's own task it would bring all of Trio down
                self._crash(error)


class ToLoop:
    """Commands posted on Trio's thread, taken on asyncio's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[bytes | Callable[[], None]] = deque()
        self._wake = asyncio.Event()
        self._is_due = False

    def post(self, item: bytes | Callable[[], None]) -> None:
        """Append a command, or the callback of a flush."""
        self._items.append(item)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon_threadsafe(self._wake.set)

    async def take(self) -> list[bytes | Callable[[], None]]:
        """Wait for items and return all that have come."""
        await self._wake.wait()
        self._wake.clear()
        self._is_due = False
        items = self._items
        return [items.popleft() for _ in range(len(items))]
