"""What falls due when: a heap with lazy deletion, for expiries, redeliveries and schedules."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")

# Below this many stale entries tidying up is not worth its cost.
_SLACK = 64


def ignore(when: float) -> None:
    """Hear no alarm: nobody keeps time yet."""


class Agenda(Generic[K]):
    """One moment per item, in Unix seconds; items of the same moment fall due in the order they were set.

    `alarm` is called with a moment that became the earliest: whoever owns a timer sets it forward.
    """

    __slots__ = ("_heap", "_ticks", "_when", "alarm")

    def __init__(self, alarm: Callable[[float], None] = ignore) -> None:
        self.alarm = alarm
        self._when: dict[K, tuple[float, int, K]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._when)

    def set(self, item: K, when: float) -> None:
        """Enter an item, or move it."""
        heap = self._heap
        self._ticks += 1
        self._when[item] = entry = (when, self._ticks, item)
        heappush(heap, entry)
        if heap[0] is entry:
            self.alarm(when)
        # Answered messages leave their entries behind until they would have been due, which may be an hour. Removing
        # them when they outnumber the living keeps memory linear and costs a constant per entry.
        if len(heap) > 2 * len(self._when) + _SLACK:
            self._heap = [entry for entry in heap if self._when.get(entry[2]) is entry]
            heapify(self._heap)

    def cancel(self, item: K) -> None:
        """Strike an item out; nothing happens if it is not there."""
        self._when.pop(item, None)

    def next_due(self) -> float:
        """Return the earliest moment, infinity if there is none."""
        heap = self._heap
        while heap and self._when.get(heap[0][2]) is not heap[0]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def pop(self, now: float) -> tuple[float, K] | None:
        """Take out the earliest item that is due and say when it was due; None if none is."""
        if self.next_due() > now:
            return None
        when, _, item = heappop(self._heap)
        del self._when[item]
        return when, item
