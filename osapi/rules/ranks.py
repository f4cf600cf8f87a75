"""An ordered set of places that is counted, cut by time and read in pages, newest first."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# When a job was created, and its id: what came later has the larger place.
Place = tuple[float, str]

# Where something was, before everything that is.
_GONE: Final[Place] = (float("-inf"), "")

# So many gone ones are not worth the trouble of moving up.
_SLACK: Final = 64


class Ranks:
    """Places in order.

    Jobs come and change near the new end and expire at the old one: both cost the same however many there are. In
    between, the pointers behind are moved: 20 us among 100,000. A count, and where a page begins, are two bisections.
    """

    __slots__ = ("_places", "_start")

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._start = 0  # what lies before is gone

    def __len__(self) -> int:
        return len(self._places) - self._start

    @property
    def room(self) -> int:
        """Return how many places take up memory, those included that are gone."""
        return len(self._places)

    def add(self, place: Place) -> None:
        """Add a place that is not there."""
        places = self._places
        if not places or places[-1] < place:
            places.append(place)
        else:
            insort(places, place, self._start)

    def remove(self, place: Place) -> None:
        """Remove a place that is there."""
        places = self._places
        at = bisect_left(places, place, self._start)
        if at > self._start:
            del places[at]
            return
        places[at] = _GONE
        self._start += 1
        if self._start > _SLACK and 2 * self._start > len(places):
            del places[: self._start]
            self._start = 0

    def page(
        self, offset: int, limit: int, since: float | None = None, until: float | None = None
    ) -> tuple[int, Sequence[Place]]:
        """Return how many were created from `since` on and before `until`, and a page of them, newest first."""
        places = self._places
        low = self._start if since is None else bisect_left(places, (since, ""), self._start)
        high = len(places) if until is None else bisect_left(places, (until, ""), low)
        end = max(low, high - offset)
        return high - low, places[max(low, end - limit) : end][::-1]
