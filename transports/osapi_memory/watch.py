"""A watch as a client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from osapi.errors import ClosedError
from osapi.inbox import Inbox
from osapi_memory.bucket_core import WatchCore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.transport import Entry
    from osapi_memory.bucket_core import BucketCore
    from osapi_memory.connection import Connection

# So many changes are kept for a watcher that does not take them.
MAX_BEHIND = 1 << 16


class MemoryWatch:
    """Implements `osapi.transport.Watch`.

    A slow watcher costs bounded memory: once `MAX_BEHIND` changes wait for it, no more are queued, and when it has
    taken those it goes on after the last of them as after a lost connection (K8): with what the bucket still keeps.
    With a history of 1 it then skips values that were overwritten meanwhile; the newest of each key always arrives.
    """

    __slots__ = ("_connection", "_core", "_first", "_inbox", "_is_behind", "_position", "_watch")

    def __init__(
        self, connection: Connection, core: BucketCore, patterns: Sequence[str], start: Literal["all", "new"] | int
    ) -> None:
        now = connection.broker.now()
        self._connection = connection
        self._core = core
        self._inbox: Inbox[Entry] = Inbox()
        self._is_behind = False
        sink = self._arrive if connection.wire is None else connection.wire.in_order(self._arrive_late)
        self._watch = WatchCore(patterns, sink, self._on_deleted)
        patterns = self._watch.patterns
        self._first: list[Entry] = []
        if start == "all":
            self._first = core.newest(patterns, now)
        elif start != "new":
            self._first = core.since(patterns, start, now)
        self._position = max(core.revision, 0 if isinstance(start, str) else start)
        core.watch(self._watch)

    @property
    def caught_up(self) -> bool:
        """Tell whether `receive` has given all of the first set."""
        return not self._first

    async def receive(self) -> Sequence[Entry]:
        """Wait for entries and return all that have come; a cancelled call loses nothing."""
        if self._first or self._inbox.items:
            await self._connection.turn()
        else:
            await self._inbox.wait()
        return self.receive_nowait()

    def receive_nowait(self) -> Sequence[Entry]:
        """Return what has already come, perhaps nothing, without waiting."""
        if self._first:
            first, self._first = self._first, []
            return first
        entries = self._inbox.take()
        if self._is_behind:
            self._is_behind = False
            self._catch_up()
        return entries

    def detach(self) -> None:
        """Leave the broker: the connection is down."""
        self._core.unwatch(self._watch)

    def attach(self) -> None:
        """Come back: first everything after the last entry that was given, or will be from what has come."""
        if self._core.deleted:
            self._on_deleted()
            return
        self._catch_up()
        self._core.watch(self._watch)

    def close(self, error: Exception) -> None:
        """End; what was not yet received is dropped."""
        self._core.unwatch(self._watch)
        self._first = []
        self._inbox.items.clear()
        self._inbox.end(error)

    def _arrive(self, entry: Entry) -> None:
        if entry.revision <= self._position:
            return  # a number to start from may lie ahead
        if self._is_behind or len(self._inbox.items) >= MAX_BEHIND:
            self._is_behind = True
            return
        self._position = entry.revision
        self._inbox.put(entry)

    def _arrive_late(self, entry: Entry) -> None:
        if self._inbox.ended is None:
            self._arrive(entry)

    def _catch_up(self) -> None:
        for entry in self._core.since(self._watch.patterns, self._position, self._connection.broker.now()):
            self._arrive(entry)

    def _on_deleted(self) -> None:
        self._inbox.end(ClosedError(f"bucket {self._core.config.name} was deleted"))
