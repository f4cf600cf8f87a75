"""Which job is to be looked at next: one heap and one wait for all that are open."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Collection

# An agent records the end of what it runs itself; only after this long does anybody else do it.
GRACE_SECONDS = 1.0

# Below this many entries that no longer count, tidying up is not worth its cost.
_SLACK = 512


class Due:
    """When to look at each job, on Trio's clock; `open_jobs` is kept by the owner and says which still count."""

    def __init__(self, open_jobs: Collection[str]) -> None:
        self._open = open_jobs
        self._heap: list[tuple[float, str]] = []
        self._armed = trio.Event()
        self._until = inf  # what `take` waits for

    @property
    def size(self) -> int:
        """Return how many entries take up memory, those included that no longer count."""
        return len(self._heap)

    def set(self, job_id: str, seconds: float) -> None:
        """Look at a job so many seconds from now, and a moment later."""
        heap = self._heap
        # Most jobs end long before they are due: what has ended is dropped from the front as new ones come.
        while heap and heap[0][1] not in self._open:
            heappop(heap)
        if len(heap) > 3 * len(self._open) + _SLACK:
            self._heap = heap = [entry for entry in heap if entry[1] in self._open]
            heapify(heap)
        due = (trio.current_time() + seconds + GRACE_SECONDS, job_id)
        heappush(heap, due)
        # What was first has mostly ended when the next one comes: whoever waits for that one is not woken for this.
        if due[0] < self._until:
            self._armed.set()

    async def take(self) -> list[str]:
        """Wait until jobs are due, and return those; they are not looked at again unless they are set again."""
        while True:
            self._until = self._heap[0][0] if self._heap else inf
            with trio.move_on_at(self._until):
                await self._armed.wait()
                self._armed = trio.Event()
            due: list[str] = []
            while self._heap and self._heap[0][0] <= trio.current_time():
                job_id = heappop(self._heap)[1]
                if job_id in self._open:
                    due.append(job_id)
            if due:
                return due
