"""What falls due when: heaps with lazy deletion, for expiries, redeliveries and schedules."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

E = TypeVar("E", bound=tuple[float, Any] | tuple[float, int, Any])
K = TypeVar("K", bound="Hashable")

# Below this many stale entries tidying up is not worth its cost.
_SLACK = 512


def ignore(when: float) -> None:
    """Hear no alarm: nobody keeps time yet."""


class Deadlines(Generic[E]):
    """Entries that begin with a moment in Unix seconds and go on with a number that makes them unique.

    What became of an entry only its owner knows: `holds` tells whether it still counts, and is asked when its moment
    comes. `alarm` is called with a moment that became the earliest: whoever owns a timer sets it forward.
    """

    __slots__ = ("_heap", "_holds", "_most", "alarm")

    def __init__(self, holds: Callable[[E], bool], alarm: Callable[[float], None] = ignore) -> None:
        self._heap: list[E] = []
        self._holds = holds
        self._most = _SLACK
        self.alarm = alarm

    @property
    def size(self) -> int:
        """Return how many entries take up memory, those included that no longer count."""
        return len(self._heap)

    def add(self, entry: E) -> None:
        """Enter a moment."""
        heap = self._heap
        heappush(heap, entry)
        if heap[0] is entry:
            self.alarm(entry[0])
        if len(heap) > self._most:
            self._tidy()

    def next_due(self) -> float:
        """Return the earliest moment, infinity if there is none."""
        heap = self._heap
        while heap and not self._holds(heap[0]):
            heappop(heap)
        return heap[0][0] if heap else inf

    def pop(self, now: float) -> E | None:
        """Take out the earliest entry that is due; None if none is."""
        if self.next_due() > now:
            return None
        return heappop(self._heap)

    def _tidy(self) -> None:
        # What was answered or overwritten leaves its entry behind until it would have been due, perhaps for an hour.
        # Sorting out whenever the heap has grown threefold keeps memory linear and costs a constant per entry.
        self._heap = [entry for entry in self._heap if self._holds(entry)]
        heapify(self._heap)
        self._most = 3 * len(self._heap) + _SLACK


class Agenda(Generic[K]):
    """One moment per item; items of the same moment fall due in the order they were set."""

    __slots__ = ("_deadlines", "_ticks", "_when")

    def __init__(self, alarm: Callable[[float], None] = ignore) -> None:
        self._when: dict[K, tuple[float, int, K]] = {}
        self._deadlines: Deadlines[tuple[float, int, K]] = Deadlines(self._is_current, alarm)
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._when)

    @property
    def size(self) -> int:
        """Return how many entries take up memory, those included that no longer count."""
        return self._deadlines.size

    def set_alarm(self, alarm: Callable[[float], None]) -> None:
        """Tell `alarm` from now on of each moment that became the earliest."""
        self._deadlines.alarm = alarm

    def set(self, item: K, when: float) -> None:
        """Enter an item, or move it."""
        self._ticks += 1
        self._when[item] = entry = (when, self._ticks, item)
        self._deadlines.add(entry)

    def cancel(self, item: K) -> None:
        """Strike an item out; nothing happens if it is not there."""
        self._when.pop(item, None)

    def next_due(self) -> float:
        """Return the earliest moment, infinity if there is none."""
        return self._deadlines.next_due()

    def pop(self, now: float) -> tuple[float, K] | None:
        """Take out the earliest item that is due and say when it was due; None if none is."""
        entry = self._deadlines.pop(now)
        if entry is None:
            return None
        when, _, item = entry
        del self._when[item]
        return when, item

    def _is_current(self, entry: tuple[float, int, K]) -> bool:
        return self._when.get(entry[2]) is entry
