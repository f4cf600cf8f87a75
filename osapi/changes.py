"""The changes of all jobs and agents, as one after the other happens, for any number of readers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

import trio

from osapi.errors import LimitReachedError
from osapi.flow.feed import Feed
from osapi.rules.changes import AgentChange, JobChange, Position, parse_position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.index import JobIndex
    from osapi.roster import Roster
    from osapi.rules.records import Known

# So many changes are kept for readers who do not take them; more than a thousand jobs, from start to end.
MAX_BEHIND = 4096


class Told(NamedTuple):
    """A change, and the revisions of the two buckets that had been taken in by then."""

    change: JobChange | AgentChange
    jobs: int
    records: int


class Changes:
    """Iterate over it with `async for`; `Client.changes` makes it.

    `position` says how far it has been read: given to `Client.changes`, reading goes on there. It is exact within the
    life of a client. For another client, or when it was too long ago, everything is told that may have changed since,
    each job with its status now, and each agent: something may be told twice, and nothing is missed.
    """

    def __init__(
        self, feed: Feed[Told], here: Position, missed: Iterable[JobChange | AgentChange], before: Position
    ) -> None:
        self._feed = feed
        self._here = here
        self._missed = deque(missed)
        self._before = before
        self._told: deque[Told] = deque()

    @property
    def position(self) -> str:
        """Return from where on nothing has been read yet."""
        return str(self._before if self._missed else self._here)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JobChange | AgentChange:
        """Return the next change.

        Raises:
            LimitReachedError: more than 4,096 changes came that were not read; go on from `position`.

        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._missed:
            return self._missed.popleft()
        number = self._here.number
        if not self._told:
            await self._feed.wait(number)
            if not self._feed.holds(number):
                raise LimitReachedError(f"more than {MAX_BEHIND} changes came that this reader did not take")
            self._told.extend(self._feed.since(number))
        told = self._told.popleft()
        self._here = Position(self._here.epoch, number + 1, told.jobs, told.records)
        return told.change


class Chronicle:
    """Where a client's index and roster tell of changes, and where readers of them begin."""

    def __init__(self, epoch: str, index: JobIndex, roster: Roster) -> None:
        self._epoch = epoch
        self._index = index
        self._roster = roster
        self._feed: Feed[Told] = Feed(MAX_BEHIND)
        index.on_change = self._put
        roster.on_change = self._put

    def _put(self, change: JobChange | AgentChange) -> None:
        self._feed.put(Told(change, *self._index.revisions))

    def find(self, after: str) -> Changes | None:
        """Return a reader from a position on, from now on if it is empty; None if it must be told what it missed.

        Raises:
            InvalidSettingError: the position.

        """
        if not after:
            return Changes(self._feed, self._now(), (), self._now())
        place = parse_position(after)
        if place.epoch == self._epoch and self._feed.holds(place.number):
            return Changes(self._feed, place, (), place)
        return None

    def catch_up(self, after: str, known: Iterable[Known]) -> Changes:
        """Return a reader from now on that is told before what may have changed since a position.

        Raises:
            InvalidSettingError: the position.

        """
        place = parse_position(after)
        agents = self._roster.agents
        missed: list[JobChange | AgentChange] = [
            *self._index.newer(place.jobs, place.records),
            *(AgentChange(hostname=host, state=agent.state, status="Ready") for host, agent in sorted(agents.items())),
            *(
                AgentChange(hostname=agent.hostname, state="Ready", status="NotReady")
                for agent in known
                if agent.hostname not in agents
            ),
        ]
        return Changes(self._feed, self._now(), missed, place)

    def _now(self) -> Position:
        return Position(self._epoch, self._feed.end, *self._index.revisions)
