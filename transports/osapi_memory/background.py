"""A task that runs as long as a block, without changing what the block raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


class Background:
    """Run a task in a nursery of the block's own; leaving the block cancels it and waits for its end.

    A plain nursery would wrap an error of the block in an ExceptionGroup, and nobody expects `async with broker` to
    do that. So the nursery is not told of it; the error goes on as it is. If the task itself fails, the block is
    cancelled and the nursery's ExceptionGroup says why.
    """

    def __init__(self, task: Callable[[], Awaitable[object]]) -> None:
        self._task = task
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> None:
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self._task)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shielded, or a cancellation from outside would end this wait with an error in place of the block's own.
        self._nursery.cancel_scope.shield = True
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)
