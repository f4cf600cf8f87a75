"""The NATS client protocol without I/O: bytes in, events out; what we say, as bytes.

After the protocol's description in the NATS documentation ("Client Protocol") and ADR-4 for headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from osapi.errors import InvalidSubjectError
from osapi_nats.connection import MAX_CONTROL_LINE, Incoming
from osapi_nats.headers import Headers, encode_headers, is_plain, parse_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

PING = b"PING\r\n"
PONG = b"PONG\r\n"

# An INFO line tells of every server of a cluster. Of the other lines a message's is the longest: what its publisher
# may write, and two numbers.
_MAX_INFO = 1 << 20
_MAX_LINE = 2 * MAX_CONTROL_LINE
_MAX_SUBJECTS = MAX_CONTROL_LINE - 64  # there are words and numbers beside them


class ProtocolError(Exception):
    """The server sent what is not the NATS protocol: the connection is of no use any more."""


class Told(Struct, frozen=True, gc=False):
    """A message, and the number of the subscription that it is for."""

    sid: int
    message: Incoming


class Info(Struct, frozen=True):
    """What a server says of itself."""

    server_name: str = ""
    version: str = ""
    max_payload: int = 1 << 20
    connect_urls: list[str] | None = None
    nonce: str = ""
    tls_required: bool = False
    tls_available: bool = False
    tls_verify: bool = False
    ldm: bool = False  # lame duck mode: it shuts down, and wants its clients to go to another server


class Refused(Struct, frozen=True):
    """The server's complaint, as in `'Authorization Violation'`, without the quotes."""

    reason: str


class Ping(Struct, frozen=True):
    """The server wants to hear a PONG."""


class Pong(Struct, frozen=True):
    """The server has taken all that was sent before our PING."""


Event = Told | Info | Refused | Ping | Pong

_PING = Ping()
_PONG = Pong()
_MESSAGES = ("MSG ", "HMSG ")
# The line of a message, up to 99,999,999 bytes: one match costs a third of taking it apart word by word.
_MSG = re.compile(rb"MSG ([^ \r\n]+) (\d{1,18}) (?:([^ \r\n]+) )?(\d{1,8})\r\n").match
_HMSG = re.compile(rb"HMSG ([^ \r\n]+) (\d{1,18}) (?:([^ \r\n]+) )?(\d{1,8}) (\d{1,8})\r\n").match
_decode_info = msgspec.json.Decoder(Info).decode


class Parser:
    """Turns the bytes of one connection into events, in whatever pieces they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of what is not whole yet
        self._size = 0
        self._needed = 0  # so many bytes make it whole; 0 if that is not known

    @property
    def is_between(self) -> bool:
        """Tell whether nothing of a next event has come."""
        return not self._pieces

    def feed(self, data: bytes | bytearray) -> list[Event]:
        """Return the events that have become whole.

        Raises:
            ProtocolError: the connection is of no use any more.

        """
        events: list[Event] = []
        buffer = bytes(data)
        if self._pieces:
            self._pieces.append(buffer)
            self._size += len(buffer)
            if self._size < self._needed:
                return events
            buffer = b"".join(self._pieces)
        rest = buffer[self._parse(buffer, events) :]
        self._pieces = [rest] if rest else []
        self._size = len(rest)
        return events

    def _parse(self, buffer: bytes, events: list[Event]) -> int:
        """Add the events at the beginning of a buffer, and return where what is not whole begins."""
        at = self._needed = 0
        while True:
            if found := _MSG(buffer, at):
                subject, sid, reply, size = found.groups(b"")
                start = body = found.end()
            elif found := _HMSG(buffer, at):
                subject, sid, reply, head, size = found.groups(b"")
                start = found.end()
                body = start + int(head)
            else:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    break
                line = buffer[at:end].decode("utf-8", "replace")
                if line.startswith(_MESSAGES):
                    raise ProtocolError(f"no message: {line[:80]!r}")
                _note(line, events)
                at = end + 2
                continue
            stop = start + int(size)
            if body > stop:
                raise ProtocolError(f"no size of a message: {buffer[at:start][:80]!r}")
            if len(buffer) < stop + 2:
                self._needed = stop + 2 - at
                return at
            if not buffer.startswith(b"\r\n", stop):
                raise ProtocolError(f"a message longer than it said: {buffer[at:start][:80]!r}")
            # Anybody may publish on a subject that is no UTF-8; it is not worth the connection.
            to, back = subject.decode("utf-8", "replace"), reply.decode("utf-8", "replace")
            payload = buffer[body:stop]
            told = _with_headers(to, back, buffer[start:body], payload) if body > start else Incoming(to, payload, back)
            events.append(Told(int(sid), told))
            at = stop + 2
        _check_rest(buffer, at)
        return at


def _with_headers(subject: str, reply: str, block: bytes, payload: bytes) -> Incoming:
    if is_plain(block):
        return Incoming(subject, payload, reply, Headers(block))
    try:
        status, description, headers = parse_headers(block)
    except ValueError:
        # The server hands on what anybody sent as headers; it is not worth the connection either.
        return Incoming(subject, payload, reply)
    return Incoming(subject, payload, reply, headers, status, description)


def _note(line: str, events: list[Event]) -> None:
    if line == "PING":
        events.append(_PING)
    elif line == "PONG":
        events.append(_PONG)
    elif line.startswith("INFO "):
        try:
            events.append(_decode_info(line[5:]))
        except msgspec.MsgspecError:
            raise ProtocolError(f"no INFO: {line[:80]!r}") from None
    elif line.startswith("-ERR"):
        events.append(Refused(line[4:].strip(" '")))
    elif line != "+OK":
        raise ProtocolError(f"unknown: {line[:80]!r}")


def _check_rest(buffer: bytes, at: int) -> None:
    if len(buffer) - at > (_MAX_INFO if buffer.startswith(b"INFO", at) else _MAX_LINE):
        raise ProtocolError(f"a line without an end: {buffer[at : at + 80]!r}")


# --- What we say -------------------------------------------------------------------------------------------


def connect(fields: Mapping[str, Any]) -> bytes:
    """Say who we are."""
    return b"CONNECT %b\r\n" % msgspec.json.encode(fields)


def subscribe(subject: str, sid: int) -> bytes:
    """Ask for all messages on a subject.

    Raises:
        InvalidSubjectError: the server would take it for something else, or close the connection.

    """
    return b"SUB %b %d\r\n" % (_subjects(subject), sid)


def unsubscribe(sid: int) -> bytes:
    """Ask for no more of them."""
    return b"UNSUB %d\r\n" % sid


def publish(subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """Send a message; the sizes of headers and payload are the caller's to check.

    Raises:
        InvalidSubjectError: the server would take it for something else, or close the connection.

    """
    to = _subjects(subject, reply)
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (to, len(payload), payload)
    block = encode_headers(headers)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (to, len(block), len(block) + len(payload), block, payload)


def _subjects(subject: str, reply: str = "") -> bytes:
    """Return them as words of a line, unless the server would find other words, or more than it reads."""
    line = f"{subject} {reply}" if reply else subject
    # Nearly all of them: of ASCII, what ends a word is not printable, but for the blank.
    is_plain_text = line.isascii() and line.isprintable() and line.count(" ") == bool(reply)
    if is_plain_text and subject and len(line) <= _MAX_SUBJECTS:
        return line.encode()
    # The four that end a word on the server, and NUL. Searching for each is three times as fast as one expression.
    blanks = line.count(" ") - bool(reply)
    if not subject or blanks or "\t" in line or "\r" in line or "\n" in line or "\x00" in line:
        raise InvalidSubjectError(line, "is empty or has a blank or a line end", "use tokens with dots between")
    encoded = line.encode()
    if len(encoded) > _MAX_SUBJECTS:
        raise InvalidSubjectError(line, "is too long", f"use at most {_MAX_SUBJECTS} bytes, reply included")
    return encoded
