"""The messages of a stream: sequences, limits, lifetimes, duplicates. No clock, no task, no wire.

S1-S4 of `osapi.transport`. What leaves the log is reported through `removed`, so that consumers let go of it.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from osapi.errors import LimitReachedError, PayloadTooLargeError
from osapi.rules.room import stored_size
from osapi.transport import Message
from osapi_memory.agenda import Deadlines, ignore
from osapi_memory.by_subject import BySubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.transport import StreamConfig


class LogCore:
    """What one stream keeps; `messages` may be read by whoever shares it, and written only here."""

    __slots__ = (
        "_expiries",
        "_ids",
        "_ids_in_order",
        "_removed",
        "_rooms",
        "_window",
        "bytes",
        "config",
        "first",
        "last",
        "messages",
        "subjects",
    )

    def __init__(
        self,
        config: StreamConfig,
        removed: Callable[[Message], None],
        alarm: Callable[[float], None] = ignore,
    ) -> None:
        self.config = config
        self.messages: dict[int, Message] = {}
        self.subjects = BySubject()
        self.first = 1
        self.last = 0
        self.bytes = 0
        self._removed = removed
        self._expiries: Deadlines[tuple[float, int]] = Deadlines(lambda expiry: expiry[1] in self.messages, alarm)
        self._rooms: dict[int, int] = {}  # bytes of a message's headers by its sequence, where it has any
        self._ids: dict[str, int] = {}
        self._ids_in_order: deque[tuple[float, str]] = deque()
        # JetStream does not let a message's id outlive the message.
        self._window = min(config.duplicate_window, config.max_age or inf)

    def append(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        now: float,
        expires: float,
        msg_id: str | None = None,
        room: int = 0,
    ) -> Message:
        """Store a message and return it, under the next sequence; `room` is what its headers take.

        Raises:
            LimitReachedError

        """
        size = self.check_fits(subject, payload, room)
        self._make_room(subject, size)
        self.last = sequence = self.last + 1
        message = Message(subject, payload, sequence, now, headers)
        self.messages[sequence] = message
        self.subjects.add(subject, sequence)
        self.bytes += size
        if room:
            self._rooms[sequence] = room
        if msg_id is not None:
            self._ids[msg_id] = sequence
            self._ids_in_order.append((now, msg_id))
        if expires != inf:
            self._expiries.add((expires, sequence))
        return message

    def remove(self, sequence: int) -> None:
        """Remove a message that is kept."""
        message = self.messages.pop(sequence)
        self.subjects.discard(message.subject, sequence)
        room = self._rooms.pop(sequence, 0)
        self.bytes -= stored_size(self.config.storage, len(message.subject), len(message.payload), room)
        # Each sequence is passed once in the life of the stream, so this is O(1) a message.
        while self.first <= self.last and self.first not in self.messages:
            self.first += 1
        self._removed(message)

    def expires(self, now: float, ttl: int | None) -> float:
        """Return when a message stored now will be removed: its own lifetime, capped by the stream's."""
        age = self.config.max_age
        if ttl is None:
            return now + age if age else inf
        return now + (min(ttl, age) if age else ttl)

    def next_due(self) -> float:
        """Return when `advance` should be called next, infinity for never."""
        return self._expiries.next_due()

    def advance(self, now: float) -> None:
        """Remove the messages whose time has come."""
        while due := self._expiries.pop(now):
            self.remove(due[1])

    def known(self, msg_id: str, now: float) -> int:
        """Return the sequence that was stored under an id within the window, 0 if there is none."""
        in_order = self._ids_in_order
        while in_order and in_order[0][0] + self._window <= now:
            del self._ids[in_order.popleft()[1]]
        return self._ids.get(msg_id, 0)

    def check_size(self, subject: str, payload: bytes, room: int) -> None:
        """Refuse a message that is too large, headers included.

        Raises:
            PayloadTooLargeError

        """
        size = len(payload) + room
        if 0 <= self.config.max_msg_size < size:
            raise PayloadTooLargeError(f"message on {subject}", size, self.config.max_msg_size)

    def check_fits(self, subject: str, payload: bytes, room: int) -> int:
        """Return what a message would take, if it can be stored at all.

        Raises:
            LimitReachedError

        """
        config = self.config
        size = stored_size(config.storage, len(subject), len(payload), room)
        if 0 < config.max_bytes < size:
            # Dropping everything else would not help, and a receipt for what is not kept would be a lie.
            raise LimitReachedError(f"stream {config.name}: {size} bytes do not fit, max_bytes is {config.max_bytes}")
        return size

    def _make_room(self, subject: str, size: int) -> None:
        config = self.config
        if config.max_msgs_per_subject > 0 and self.subjects.count(subject) >= config.max_msgs_per_subject:
            self._drop(self.subjects.of(subject)[0], "max_msgs_per_subject", config.max_msgs_per_subject)
        if config.max_msgs > 0 and len(self.messages) >= config.max_msgs:
            self._drop(self.first, "max_msgs", config.max_msgs)
        if config.max_bytes > 0:
            while self.bytes + size > config.max_bytes:
                self._drop(self.first, "max_bytes", config.max_bytes)

    def _drop(self, sequence: int, setting: str, limit: int) -> None:
        if self.config.discard == "new":
            raise LimitReachedError(f"stream {self.config.name} is full: {setting} is {limit}")
        self.remove(sequence)
