"""What was told last, for any number of readers, none of whom is waited for."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Feed(Generic[T]):
    """The last `most` items, numbered. Readers hold a number each, so that they cost nothing here."""

    def __init__(self, most: int) -> None:
        self._items: deque[T] = deque(maxlen=most)
        self._more = trio.Event()
        self.end = 0  # the number of the item that comes next

    def put(self, item: T) -> None:
        """Add an item, and wake who waits for it."""
        self._items.append(item)
        self.end += 1
        if self._more.statistics().tasks_waiting:
            self._more.set()
            self._more = trio.Event()

    def holds(self, number: int) -> bool:
        """Tell whether everything from a number on is still here."""
        return self.end - len(self._items) <= number <= self.end

    def since(self, number: int) -> Sequence[T]:
        """Return the items from a number on that is still here."""
        return list(islice(self._items, number - self.end + len(self._items), None))

    async def wait(self, number: int) -> None:
        """Wait until there is an item of that number."""
        while self.end <= number:
            await self._more.wait()
