"""The NATS client protocol without I/O: bytes in, events out; what we say, as bytes.

After the protocol's description in the NATS documentation ("Client Protocol") and ADR-4 for headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from osapi_nats.connection import MAX_CONTROL_LINE, Incoming
from osapi_nats.headers import encode_headers, parse_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

PING = b"PING\r\n"
PONG = b"PONG\r\n"

# An INFO line tells of every server of a cluster; other lines are bounded by the control line.
_MAX_INFO = 1 << 20
_MAX_MESSAGE = 1 << 27


class ProtocolError(Exception):
    """The server sent what is not the NATS protocol: the connection is of no use any more."""


class Told(NamedTuple):
    """A message, and the number of the subscription that it is for."""

    sid: int
    message: Incoming


class Info(NamedTuple):
    """What a server says of itself."""

    fields: dict[str, Any]


class Refused(NamedTuple):
    """The server's complaint, as in `'Authorization Violation'`, without the quotes."""

    reason: str


class Ping(NamedTuple):
    """The server wants to hear a PONG."""


class Pong(NamedTuple):
    """The server has taken all that was sent before our PING."""


Event = Told | Info | Refused | Ping | Pong

_PING = Ping()
_PONG = Pong()


class Parser:
    """Turns the bytes of one connection into events, in whatever pieces they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._needed = 0  # so many bytes make the next event whole, if that is known

    def feed(self, data: bytes | bytearray) -> list[Event]:
        """Return the events that have become whole.

        Raises:
            ProtocolError: the connection is of no use any more.

        """
        buffer = self._rest + data if self._rest else bytes(data)
        events: list[Event] = []
        if len(buffer) < self._needed:
            self._rest = buffer
            return events
        at = self._needed = 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            if buffer.startswith((b"MSG ", b"HMSG "), at):
                after = self._message(buffer, at, end, events)
                if not after:
                    break
                at = after
            else:
                self._line(buffer[at:end], events)
                at = end + 2
        self._rest = buffer[at:]
        if end < 0:
            _check_line(self._rest)
        return events

    def _message(self, buffer: bytes, at: int, end: int, events: list[Event]) -> int:
        """Read a message whose first line is there, and return where it ends, or 0 if it is not whole yet."""
        try:
            words = buffer[at:end].decode().split()
            size = int(words[-1])
            head = int(words[-2]) if words[0] == "HMSG" else 0
            sid = int(words[2])
        except (ValueError, IndexError):
            raise ProtocolError(f"no message: {buffer[at:end][:80]!r}") from None
        has_reply = len(words) == (6 if words[0] == "HMSG" else 5)
        if not 0 <= head <= size <= _MAX_MESSAGE or not (has_reply or len(words) == (5 if head else 4)):
            raise ProtocolError(f"no message: {buffer[at:end][:80]!r}")
        start = end + 2
        stop = start + size
        if len(buffer) < stop + 2:
            self._needed = stop + 2 - at
            return 0
        if buffer[stop : stop + 2] != b"\r\n":
            raise ProtocolError("a message is longer than it said")
        reply = words[3] if has_reply else ""
        if head:
            try:
                status, description, headers = parse_headers(buffer[start : start + head])
            except ValueError as error:
                raise ProtocolError(str(error)) from None
            told = Incoming(words[1], buffer[start + head : stop], reply, headers, status, description)
        else:
            told = Incoming(words[1], buffer[start:stop], reply)
        events.append(Told(sid, told))
        return stop + 2

    def _line(self, line: bytes, events: list[Event]) -> None:
        if line == b"PING":
            events.append(_PING)
        elif line == b"PONG":
            events.append(_PONG)
        elif line.startswith(b"INFO "):
            try:
                events.append(Info(msgspec.json.decode(line[5:], type=dict[str, Any])))
            except msgspec.MsgspecError:
                raise ProtocolError(f"no INFO: {line[:80]!r}") from None
        elif line.startswith(b"-ERR"):
            events.append(Refused(line[4:].decode("utf-8", "replace").strip(" '")))
        elif line != b"+OK":
            raise ProtocolError(f"unknown: {line[:80]!r}")


def _check_line(rest: bytes) -> None:
    if len(rest) > (_MAX_INFO if rest.startswith(b"INFO") else 2 * MAX_CONTROL_LINE):
        raise ProtocolError("a line without an end")


# --- What we say -------------------------------------------------------------------------------------------


def connect(fields: Mapping[str, Any]) -> bytes:
    """Say who we are."""
    return b"CONNECT %b\r\n" % msgspec.json.encode(fields)


def subscribe(subject: str, sid: int) -> bytes:
    """Ask for all messages on a subject."""
    return f"SUB {subject} {sid}\r\n".encode()


def unsubscribe(sid: int) -> bytes:
    """Ask for no more of them."""
    return b"UNSUB %d\r\n" % sid


def publish(subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """Send a message; sizes are the caller's to check."""
    to = f"{subject} {reply}" if reply else subject
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (to.encode(), len(payload), payload)
    block = encode_headers(headers)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (to.encode(), len(block), len(block) + len(payload), block, payload)
