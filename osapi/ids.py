"""A source of ids and of chance, one for each client and agent."""

from __future__ import annotations

import random

from osapi.rules.ids import COUNTER_BITS, RANDOM_BITS, uuid7

# The counter starts in its lower half, so that it has two thousand billion steps to go in one millisecond.
_START_BITS = COUNTER_BITS - 1


class Ids:
    """Make job ids that grow, and tokens that nobody else makes."""

    def __init__(self) -> None:
        self._fast = random.Random()  # noqa: S311 - seeded by the system; ids are unique, not secret
        self._last = 0
        self._counter = 0

    def job_id(self, now: float) -> str:
        """Return the next id; a clock that went back does not make it smaller than the one before."""
        milliseconds = int(now * 1000)
        if milliseconds > self._last:
            self._last = milliseconds
            self._counter = self._fast.getrandbits(_START_BITS)
        else:
            self._counter += 1
        return uuid7(self._last, self._counter, self._fast.getrandbits(RANDOM_BITS))

    def token(self) -> str:
        """Return 16 hexadecimal digits that no other process has."""
        return f"{self._fast.getrandbits(64):016x}"

    def draw(self) -> float:
        """Return a random number in [0, 1), for jitter."""
        return self._fast.random()
