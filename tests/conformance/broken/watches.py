"""Backends that break K7 and K8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from osapi.errors import ClosedError
from tests.conformance.broken.proxy import BucketProxy, WatchProxy, breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.transport import Entry


@breaks("K7")
class TheFirstSetIsInOrderOfKeys(WatchProxy):
    """The entries that a watch begins with come sorted by key."""

    async def receive(self) -> Sequence[Entry]:
        if self.inner.caught_up:
            return await self.inner.receive()
        return sorted(await self.inner.receive(), key=lambda entry: entry.key)


@breaks("K7")
class TheFirstSetHasTheHistory(BucketProxy):
    """A watch begins with every revision that is kept."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns, start=0 if start == "all" else start)


@breaks("K7")
class TheFirstSetHasNoMarkers(WatchProxy):
    """Keys that have no value are left out of what a watch begins with."""

    async def receive(self) -> Sequence[Entry]:
        if self.inner.caught_up:
            return await self.inner.receive()
        return [entry for entry in await self.inner.receive() if entry.change == "put"]


@breaks("K7")
class CaughtUpTooEarly(WatchProxy):
    """A watch says that it has caught up as soon as it is open."""

    @property
    def caught_up(self) -> bool:
        return True


@breaks("K7")
class CaughtUpTooLate(WatchProxy):
    """A watch says that it has caught up when it has waited once more, in vain."""

    def begin(self) -> None:
        self.late = False

    @property
    def caught_up(self) -> bool:
        return self.late

    async def receive(self) -> Sequence[Entry]:
        self.late = self.inner.caught_up
        return await self.inner.receive()


@breaks("K7")
class LosesAChange(WatchProxy):
    """Of several changes that have come at once only the last is given."""

    async def receive(self) -> Sequence[Entry]:
        return (await self.inner.receive())[-1:]


@breaks("K7")
class RepeatsAChange(WatchProxy):
    """What came last is given again with what comes next."""

    def begin(self) -> None:
        self.last: list[Entry] = []

    async def receive(self) -> Sequence[Entry]:
        batch = [*self.last, *await self.inner.receive()]
        self.last = batch[-1:]
        return batch


@breaks("K7")
class RemovalsAreNotSeen(WatchProxy):
    """Markers are held back."""

    async def receive(self) -> Sequence[Entry]:
        while True:
            if batch := [entry for entry in await self.inner.receive() if entry.change in ("put", "expire")]:
                return batch


@breaks("K7")
class PurgesLookLikeDeletes(WatchProxy):
    """The kinds of markers are not told apart."""

    async def receive(self) -> Sequence[Entry]:
        return [
            type(entry)(entry.key, entry.value, entry.revision, entry.created, "put" if entry.value else "delete")
            for entry in await self.inner.receive()
        ]


@breaks("K7")
class OnlyTheFirstPatternCounts(BucketProxy):
    """A watch of several patterns shows the keys of one."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns[:1], start=start)


@breaks("K7")
class NewIsAll(BucketProxy):
    """A watch of new changes begins with the old ones."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns, start="all" if start == "new" else start)


@breaks("K7")
class ReceiveNowaitTakesNothing(WatchProxy):
    """What receive_nowait returns is returned again."""

    def begin(self) -> None:
        self.seen: list[Entry] = []

    def receive_nowait(self) -> Sequence[Entry]:
        self.seen += self.inner.receive_nowait()
        return self.seen


@breaks("K7")
class ClosedWatchesWait(WatchProxy):
    """A watch whose block has ended waits for ever."""

    async def receive(self) -> Sequence[Entry]:
        try:
            return await self.inner.receive()
        except ClosedError:
            await trio.sleep_forever()


@breaks("K8")
class StartIsIncluded(BucketProxy):
    """A watch after a revision begins with that revision."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns, start=start if isinstance(start, str) else start - 1)


@breaks("K8")
class StartIsNow(BucketProxy):
    """A watch after a revision begins with what comes next."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns, start=start if isinstance(start, str) else "new")
