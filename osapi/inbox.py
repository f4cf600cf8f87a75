"""Where a backend puts what one task waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items that came and were not taken yet; plain calls put them in, one task at a time waits for them."""

    __slots__ = ("_task", "ended", "items")

    def __init__(self) -> None:
        self.items: list[T] = []
        self._task: trio.lowlevel.Task | None = None
        self.ended: Exception | None = None

    def put(self, item: T) -> None:
        """Add an item and wake the task that waits."""
        self.items.append(item)
        if self._task is not None:
            self._wake()

    def nudge(self) -> None:
        """Wake the task that waits though nothing came, to look at something else."""
        if self._task is not None:
            self._wake()

    def end(self, error: Exception) -> None:
        """Let whoever asks for more than has come get an error."""
        self.ended = self.ended or error
        if self._task is not None:
            self._wake()

    async def wait(self) -> None:
        """Wait until there is something to take, or the end. Cancelled, it has taken nothing.

        Raises:
            trio.BusyResourceError: another task waits here already.

        """
        if self.items or self.ended is not None:
            return
        if self._task is not None:
            raise trio.BusyResourceError("another task is already waiting here; a receiver serves one")
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def take(self) -> list[T]:
        """Return what has come.

        Raises:
            ClosedError: nothing has, and nothing will.

        """
        items = self.items
        if items:
            self.items = []
        elif self.ended is not None:
            raise self.ended
        return items

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _abort(self, _: Callable[[], None]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
