"""Replays: what an agent has started, so that nobody without a key can have it started once more.

Rules:
  1. An attempt is started if its number is higher than that of every attempt of the job that was started here, and
     none has ended the job here. Retries and takeovers are; a record that was deleted, or set back, is not.
  2. A job is remembered until its `finish_by`: after that nobody starts it. What was forgotten is known by its time:
     no job that ends before the last that was forgotten is started, whatever the clock says.
  3. A job older than the memory is not started: it may have run before.
  4. Room is bounded. When it runs out, the jobs that end first are forgotten, and rule 2 holds for them.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osapi.rules.records import Definition

MOST: Final = 200_000

# The attempt after which no other is started.
ENDED: Final = 2**31


class Started(NamedTuple):
    """The highest attempt of a job that was started here, `ENDED` if the job has ended here."""

    job_id: str
    finish_by: float
    attempt: int


class Memory:
    """What was started since `since`; about 300 bytes for each job whose time is not over."""

    def __init__(self, since: float, *, horizon: float = 0.0, most: int = MOST) -> None:
        self.since = since
        self.horizon = horizon
        self._most = most
        self._jobs: dict[str, tuple[float, int]] = {}
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Started]:
        for job_id, (finish_by, attempt) in self._jobs.items():
            yield Started(job_id, finish_by, attempt)

    def is_older(self, definition: Definition) -> bool:
        """Tell whether a job was made before this memory was."""
        return definition.created < self.since

    def objection(self, definition: Definition, attempt: int) -> str:
        """Return why an attempt is not to be started, empty if it is."""
        known = self._jobs.get(definition.id)
        if known is not None and known[1] == ENDED:
            return "it has ended here before, and its record was removed or set back"
        if known is not None and attempt <= known[1]:
            return f"attempt {known[1]} of it was started here before, and its record was removed or set back"
        if known is None and definition.finish_by <= self.horizon:
            return "jobs that end as early are not remembered any more, so it may have run here before"
        if known is None and self.is_older(definition):
            return "it is older than this agent's memory of what it has run, so it may have run here before"
        return ""

    def remember(self, started: Started, now: float) -> None:
        """Take note that an attempt starts, or that the job has ended."""
        job_id, finish_by, attempt = started
        known = self._jobs.get(job_id)
        if known is None:
            heappush(self._ends, (finish_by, job_id))
        elif known[1] >= attempt:
            return
        self._jobs[job_id] = finish_by, attempt
        while self._ends and (self._ends[0][0] <= now or len(self._jobs) > self._most):
            ended, forgotten = heappop(self._ends)
            del self._jobs[forgotten]
            self.horizon = max(self.horizon, ended)
