"""How often one may ask: a token bucket for each subject, and for each address that sends no valid token.

A bucket is one number, the moment at which it will be full again (GCRA, ITU-T I.371): no timer refills it, and one that
is full is the same as one that was never used.
"""

from __future__ import annotations

from collections import OrderedDict
from math import ceil
from typing import Final

from osapi_api.problems import ProblemError

# Buckets that are remembered at once. Who is pushed out by strangers begins with a full one.
_MOST: Final = 20_000


class Rates:
    """Token buckets by name: `rate` requests a second for long, `burst` of them at once; a rate of 0 is no limit."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, now: float) -> None:
        """Take one token out of a bucket; `now` in seconds of any clock.

        Raises:
            ProblemError: 429, with the seconds until there is one.

        """
        if not self._rate:
            return
        full_at = max(self._full_at.get(name, 0.0), now) + 1.0 / self._rate
        wait = full_at - now - self._burst / self._rate
        # A little of one is none: sums of tenths are never exact.
        if wait > 1e-6:
            sentence = f"more than {self._rate:g} requests a second; try again later"
            raise ProblemError(429, sentence, {"Retry-After": str(ceil(wait))})
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)
