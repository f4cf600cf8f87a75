"""A bucket without a clock, a task or a wire: every method is told the time and returns at once.

What it keeps to is K1-K6 of `osapi.transport`, as JetStream was seen to do it. Revisions are those of the whole
bucket; a marker is a revision like any other; whoever asks at a moment sees what is true at that moment, whether or
not a timer has run: each method first removes what is due.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from osapi.errors import ConflictError, LimitReachedError, PayloadTooLargeError
from osapi.rules.messages import check_ttl
from osapi.rules.room import OVERHEAD, OVERHEAD_OF_HEADERS, entry_room
from osapi.transport import BucketInfo, Entry
from osapi_memory.agenda import Deadlines, ignore
from osapi_memory.subject_index import SubjectIndex, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from osapi.transport import BucketConfig


class WatchCore:
    """Who is told of which keys' changes: `sink` is called with each entry as it is stored, `ended` at the end."""

    __slots__ = ("ended", "patterns", "sink")

    def __init__(self, patterns: Sequence[str], sink: Callable[[Entry], None], ended: Callable[[], None]) -> None:
        self.patterns = tuple(patterns) or (">",)
        self.sink = sink
        self.ended = ended


class BucketCore:
    """The keys of one bucket with their revisions, the watches on them, and when what expires."""

    __slots__ = (
        "_alarm",
        "_bytes",
        "_earliest",
        "_expiries",
        "_headers",
        "_interest",
        "_keys",
        "_least_ttl",
        "_overhead",
        "_overhead_of_headers",
        "_revision",
        "_values",
        "_watches",
        "config",
        "deleted",
    )

    def __init__(self, config: BucketConfig) -> None:
        self.config = config
        self.deleted = False
        # Oldest revision first, and last the key that was written last; a key without a revision is not in it.
        self._keys: dict[str, list[Entry]] = {}
        self._alarm: Callable[[float], None] = ignore
        self._earliest = inf
        self._expiries: Deadlines[tuple[float, int, str]] = Deadlines(self._is_kept, self._ring)
        self._watches: dict[WatchCore, None] = {}
        self._interest: SubjectIndex[WatchCore] = SubjectIndex()
        self._revision = 0
        self._values = 0
        self._bytes = 0
        self._headers: dict[int, int] = {}  # bytes of an entry's headers by its revision, where it has any
        # To JetStream a key is a subject.
        self._overhead = OVERHEAD[config.storage] + len(f"$KV.{config.name}.")
        self._overhead_of_headers = OVERHEAD_OF_HEADERS[config.storage]
        # A value that died before its predecessor's marker would leave watchers without one, so JetStream raises it.
        self._least_ttl = int(config.marker_ttl) if config.history > 1 else 0

    # --- Reading -------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Return the newest revision."""
        return self._revision

    @property
    def deadlines(self) -> int:
        """Return how many moments are kept in mind, those included that no longer count."""
        return self._expiries.size

    def knows(self, key: str) -> bool:
        """Tell whether a key has ever been accepted and still has a revision: then it is well formed."""
        return key in self._keys

    def get(self, key: str, now: float) -> Entry | None:
        """Return the newest entry of a key if it is a value."""
        if self._earliest <= now:
            self.advance(now)
        revisions = self._keys.get(key)
        if revisions is None:
            return None
        newest = revisions[-1]
        return newest if newest.change == "put" else None

    def history(self, key: str, now: float) -> list[Entry]:
        """Return the kept revisions of a key, oldest first, markers included."""
        self.advance(now)
        return list(self._keys.get(key, ()))

    def keys(self, pattern: str, now: float) -> list[str]:
        """Return the keys that have a value and match."""
        self.advance(now)
        return [revisions[-1].key for revisions in self._matching((pattern,)) if revisions[-1].change == "put"]

    def newest(self, patterns: Sequence[str], now: float) -> list[Entry]:
        """Return the newest entry of each key that matches one of the patterns, in order of revision."""
        self.advance(now)
        return sorted((revisions[-1] for revisions in self._matching(patterns)), key=_by_revision)

    def since(self, patterns: Sequence[str], revision: int, now: float) -> list[Entry]:
        """Return every kept entry that matches and is newer than a revision, in order of revision."""
        self.advance(now)
        if self.config.history > 1:
            found = (entry for kept in self._matching(patterns) for entry in kept if entry.revision > revision)
            return sorted(found, key=_by_revision)
        # What was written last lies last, so that this costs what is found, and not all that is kept.
        test = matcher(*patterns)
        late: list[Entry] = []
        for kept in reversed(self._keys.values()):
            if kept[-1].revision <= revision:
                break
            if test(kept[-1].key):
                late.append(kept[-1])
        return late[::-1]

    def info(self, now: float) -> BucketInfo:
        """Return the figures; as in JetStream a key that has only a marker counts."""
        self.advance(now)
        return BucketInfo(
            config=self.config,
            keys=len(self._keys),
            values=self._values,
            bytes=self._bytes,
            revision=self._revision,
        )

    # --- Writing -------------------------------------------------------------------------------------------

    def put(self, key: str, value: bytes, now: float, ttl: int | None = None, expected: int | None = None) -> int:
        """Store a value and return its revision; `expected` was compared already.

        Raises:
            InvalidSettingError (ttl), PayloadTooLargeError, LimitReachedError

        """
        headers = 0 if ttl is None and expected is None else entry_room("put", ttl, expected)
        self._check_size(key, len(value) + headers)
        if self._earliest <= now:
            self.advance(now)
        return self._put(self._keys.get(key), key, value, now, ttl, expected)

    def _put(
        self, revisions: list[Entry] | None, key: str, value: bytes, now: float, ttl: int | None, expected: int | None
    ) -> int:
        """Store a value whose size and revision were compared, at a moment when nothing is due."""
        expires = self._expires(now, ttl)
        headers = 0 if ttl is None and expected is None else self._room(entry_room("put", ttl, expected), ttl)
        if self.config.max_bytes >= 0:
            self._check_room(key, len(value) + headers, revisions)
        return self._store(revisions, Entry(key, value, self._revision + 1, now), expires, headers)

    def create(self, key: str, value: bytes, now: float, ttl: int | None = None) -> int:
        """Store a value where there is none: nothing, or a marker.

        Raises:
            ConflictError; and all that `put` raises.

        """
        self._check_size(key, len(value) + entry_room("put", ttl, 0))
        if self._earliest <= now:
            self.advance(now)
        revisions = self._keys.get(key)
        if revisions is not None and revisions[-1].change == "put":
            raise ConflictError(key, 0, revisions[-1].revision)
        if revisions is None:
            return self._put(None, key, value, now, ttl, 0)
        marker = revisions[-1].revision
        self._check_size(key, len(value) + entry_room("put", ttl, marker))
        return self._put(revisions, key, value, now, ttl, marker)

    def update(self, key: str, value: bytes, revision: int, now: float, ttl: int | None = None) -> int:
        """Store a value if `revision` is the newest of the key, markers counting; 0 where there is none.

        Raises:
            ConflictError; and all that `put` raises.

        """
        self._check_size(key, len(value) + entry_room("put", ttl, revision))
        self._expect(key, revision, now)
        return self._put(self._keys.get(key), key, value, now, ttl, revision)

    def delete(self, key: str, now: float, revision: int | None = None) -> int:
        """Add a delete marker and return its revision.

        Raises:
            ConflictError, LimitReachedError

        """
        headers = entry_room("delete", None, revision)
        self._check_size(key, headers)
        self._expect(key, revision, now)
        revisions = self._keys.get(key)
        headers = self._room(headers)
        self._check_room(key, headers, revisions)
        marker = Entry(key, b"", self._revision + 1, now, "delete")
        return self._store(revisions, marker, self._expires(now, None), headers)

    def purge(self, key: str, now: float, revision: int | None = None, ttl: int | None = None) -> int:
        """Put one marker in the place of all revisions and return its revision.

        Raises:
            ConflictError, InvalidSettingError (ttl), LimitReachedError

        """
        headers = entry_room("purge", ttl, revision)
        self._check_size(key, headers)
        self._expect(key, revision, now)
        expires = self._expires(now, ttl)
        headers = self._room(headers, ttl)
        self._check_room(key, headers, self._keys.get(key))
        for entry in self._keys.pop(key, ()):
            self._forget(entry)
        marker = Entry(key, b"", self._revision + 1, now, "purge")
        return self._store(None, marker, expires, headers)

    # --- Watching and time ---------------------------------------------------------------------------------

    def watch(self, watch: WatchCore) -> None:
        """Tell a watch of every change from now on."""
        self._watches[watch] = None
        for pattern in watch.patterns:
            self._interest.add(pattern, watch)

    def unwatch(self, watch: WatchCore) -> None:
        """Stop telling it."""
        self._watches.pop(watch, None)
        for pattern in watch.patterns:
            self._interest.remove(pattern, watch)

    def end(self) -> None:
        """End all watches: the bucket was deleted."""
        self.deleted = True
        for watch in list(self._watches):
            watch.ended()

    def set_alarm(self, alarm: Callable[[float], None]) -> None:
        """Tell `alarm` from now on of each moment that became the earliest one."""
        self._alarm = alarm

    def next_due(self) -> float:
        """Return when `advance` should be called next, infinity for never."""
        return self._expiries.next_due()

    def advance(self, now: float) -> None:
        """Remove the revisions whose time has come, each at its own moment, with their markers where configured."""
        while due := self._expiries.pop(now):
            when, revision, key = due
            revisions = self._keys[key]
            expired = next(entry for entry in revisions if entry.revision == revision)
            revisions.remove(expired)
            self._forget(expired)
            if not revisions:
                del self._keys[key]
                self._mark_expiry(expired, when)
        self._earliest = self._expiries.next_due()

    def _ring(self, when: float) -> None:
        self._earliest = min(self._earliest, when)
        self._alarm(when)

    def _is_kept(self, expiry: tuple[float, int, str]) -> bool:
        for entry in self._keys.get(expiry[2], ()):  # noqa: SIM110 - any() takes three times as long
            if entry.revision == expiry[1]:
                return True
        return False

    def _mark_expiry(self, expired: Entry, when: float) -> None:
        if self.config.marker_ttl and expired.change in {"put", "delete"}:
            marker = Entry(expired.key, b"", self._revision + 1, when, "expire")
            ttl = int(self.config.marker_ttl)
            self._store(None, marker, self._expires(when, ttl), self._room(entry_room("expire", ttl, None)))

    # --- Steps ---------------------------------------------------------------------------------------------

    def _matching(self, patterns: Iterable[str]) -> list[list[Entry]]:
        """Return the revisions of each key that matches one of several patterns, which do not overlap."""
        found: list[list[Entry]] = []
        wild: list[str] = []
        for pattern in patterns:
            if "*" in pattern or ">" in pattern:
                wild.append(pattern)
            elif pattern in self._keys:
                found.append(self._keys[pattern])
        if ">" in wild:
            found.extend(self._keys.values())
        elif wild:
            test = matcher(*wild)
            found.extend(revisions for key, revisions in self._keys.items() if test(key))
        return found

    def _expect(self, key: str, revision: int | None, now: float) -> None:
        if self._earliest <= now:
            self.advance(now)
        if revision is not None:
            revisions = self._keys.get(key)
            actual = revisions[-1].revision if revisions else 0
            if actual != revision:
                raise ConflictError(key, revision, actual)

    def _expires(self, now: float, ttl: int | None) -> float:
        age = self.config.ttl
        if ttl is None:
            return now + age if age else inf
        seconds = max(check_ttl(ttl), self._least_ttl)
        return now + (min(seconds, age) if age else seconds)

    def _check_size(self, key: str, size: int) -> None:
        # JetStream looks at the size, headers included, before it compares revisions.
        if 0 <= self.config.max_value_size < size:
            raise PayloadTooLargeError(f"value of {key}", size, self.config.max_value_size)

    def _room(self, headers: int, ttl: int | None = None) -> int:
        """Return what headers take where they are stored; a lifetime that was raised is written without its unit."""
        if not headers:
            return 0
        return headers + self._overhead_of_headers - (ttl is not None and ttl < self._least_ttl)

    def _check_room(self, key: str, size: int, revisions: list[Entry] | None) -> None:
        limit = self.config.max_bytes
        size += self._overhead + len(key)
        if limit < 0 or self._bytes + size <= limit:
            return
        # JetStream discards new messages, but lets one replace the oldest of its key if that is at least as large.
        replaces = revisions is not None and len(revisions) >= self.config.history
        if not replaces or not revisions or self._size(revisions[0]) < size:
            raise LimitReachedError(f"bucket {self.config.name} is full: max_bytes is {limit}")

    def _store(self, revisions: list[Entry] | None, entry: Entry, expires: float, headers: int = 0) -> int:
        key = entry.key
        revision = self._revision = entry.revision
        if revisions is None:
            self._keys[key] = [entry]
        else:
            if len(revisions) >= self.config.history:
                self._forget(revisions.pop(0))
            revisions.append(entry)
            del self._keys[key]
            self._keys[key] = revisions
        self._values += 1
        self._bytes += self._overhead + len(key) + len(entry.value) + headers
        if headers:
            self._headers[revision] = headers
        if expires != inf:
            self._expiries.add((expires, revision, key))
        if self._watches:
            for watch in self._interest.match(key):
                watch.sink(entry)
        return revision

    def _forget(self, entry: Entry) -> None:
        self._values -= 1
        self._bytes -= self._size(entry)
        self._headers.pop(entry.revision, None)

    def _size(self, entry: Entry) -> int:
        headers = self._headers.get(entry.revision, 0)
        return self._overhead + len(entry.key) + len(entry.value) + headers


def _by_revision(entry: Entry) -> int:
    return entry.revision
