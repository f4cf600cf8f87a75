"""Which server to try next, and how long to wait before: pure, but for the randomness it is given."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 2.0


class Pool:
    """The servers that we know, the one that last took us first."""

    def __init__(self, servers: Iterable[str], random: Random) -> None:
        self._given = list(dict.fromkeys(servers))
        random.shuffle(self._given)
        self._order = deque(self._given)
        self._random = random
        self._failures = 0

    def __len__(self) -> int:
        return len(self._order)

    def next(self) -> str:
        """Return the server to try now; it goes to the end of the line."""
        server = self._order[0]
        self._order.rotate(-1)
        return server

    def learn(self, servers: Iterable[str]) -> None:
        """Take the servers that a cluster tells of; of those it no longer tells, only the given ones stay."""
        told = list(dict.fromkeys(servers))
        known = set(self._order)
        kept = [server for server in self._order if server in self._given or server in told]
        new = [server for server in told if server not in known]
        self._random.shuffle(new)
        self._order = deque([*kept, *new])

    def succeeded(self) -> None:
        """Note that a connection was made: the next outage begins with short pauses again."""
        self._failures = 0
        self._order.rotate(1)

    def avoid(self) -> None:
        """Try the current server last: it is about to go."""
        self._order.rotate(-1)

    def pause(self) -> float:
        """Return how long to wait before the next try, in seconds: longer after each round without success.

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015), so that a fleet does not come back at once.
        """
        rounds, first_of_round = divmod(self._failures, max(1, len(self._order)))
        self._failures += 1
        if not rounds and first_of_round:
            return 0.0
        return self._random.uniform(0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**rounds))
