"""The server's side of the protocol: what it says, drawn at random, and how it reads us."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from osapi_nats.connection import Incoming
from osapi_nats.native.protocol import Info, Ping, Pong, Refused, Told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

    from osapi_nats.native.protocol import Event

# --- What it says ------------------------------------------------------------------------------------------------

# Any text without what ends a word of a line; the rest of Unicode's blanks are letters to a server.
words = st.text(
    st.characters(codec="utf-8", exclude_characters=" \t\r\n\x00") | st.sampled_from("ab.*>$=_\x85\xa0\u2028"),
    min_size=1,
    max_size=20,
)
payloads = st.binary(max_size=60) | st.sampled_from([b"\r\n", b"PING\r\n", b"MSG a 1 0\r\n\r\n"])
header_names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1)
header_values = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=20).map(str.strip)
headers = st.dictionaries(header_names, header_values, max_size=3)
statuses = st.sampled_from([(0, ""), (503, ""), (100, "Idle Heartbeat"), (409, "Consumer Deleted")])


@st.composite
def incoming(draw: st.DrawFn) -> Incoming:
    status, description = draw(statuses)
    return Incoming(draw(words), draw(payloads), draw(st.just("") | words), draw(headers), status, description)


infos = st.builds(
    Info,
    server_name=st.text(),
    version=st.just("2.15.1"),
    connect_urls=st.none() | st.lists(st.text(), max_size=3),
    ldm=st.booleans(),
)
complaints = st.builds(Refused, st.sampled_from(['Permissions Violation for Publish to "a"', "Stale Connection"]))
events: SearchStrategy[Event] = st.one_of(
    st.builds(Told, st.integers(0, 1 << 40), incoming()), st.just(Ping()), st.just(Pong()), infos, complaints
)


def say(event: Event) -> bytes:
    """Return the bytes with which a server says it."""
    if isinstance(event, Told):
        return _message(event.sid, event.message)
    if isinstance(event, Info):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        return b"INFO " + json.dumps(fields | {"xkey": "unknown"}).encode() + b"\r\n"
    if isinstance(event, Refused):
        return f"-ERR '{event.reason}'\r\n".encode()
    return b"PING\r\n" if isinstance(event, Ping) else b"PONG\r\n"


def _message(sid: int, message: Incoming) -> bytes:
    to = f"{message.subject} {sid}" + (f" {message.reply}" if message.reply else "")
    if not message.headers and not message.status:
        return f"MSG {to} {len(message.payload)}\r\n".encode() + message.payload + b"\r\n"
    first = f"NATS/1.0 {message.status} {message.description}".rstrip() if message.status else "NATS/1.0"
    lines = "".join(f"{name}: {value}\r\n" for name, value in message.headers.items())
    block = f"{first}\r\n{lines}\r\n".encode()
    size = len(block) + len(message.payload)
    return f"HMSG {to} {len(block)} {size}\r\n".encode() + block + message.payload + b"\r\n"


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return the pieces between the cuts, each given as any number."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in pairwise(at)]


cuts = st.lists(st.integers(0, 1 << 20), max_size=30)

# --- How it reads us ---------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """A line of a client, and what came with it."""

    verb: str
    words: list[str]
    headers: bytes = b""
    payload: bytes = b""


_LINE = re.compile(rb"([A-Z]+)(?: ([^\r\n]*))?\r\n")


def read(data: bytes) -> list[Command]:
    """Return all commands in it; as strict as a server."""
    commands: list[Command] = []
    at = 0
    while at < len(data):
        match = _LINE.match(data, at)
        assert match is not None, data[at:]
        assert len(match[2] or b"") <= 4096
        verb, line, at = match[1].decode(), (match[2] or b"").decode(), match.end()
        words = [line] if verb == "CONNECT" else re.split(r"[ \t]+", line) if line else []
        head, body = b"", b""
        if verb in ("PUB", "HPUB"):
            size = int(words.pop())
            cut = int(words.pop()) if verb == "HPUB" else 0
            head, body = data[at : at + cut], data[at + cut : at + size]
            assert data[at + size : at + size + 2] == b"\r\n"
            at += size + 2
        commands.append(Command(verb, words, head, body))
    return commands


def connect_fields(data: bytes) -> dict[str, Any]:
    """Return what the CONNECT at the beginning of it says."""
    first = read(data)[0]
    assert first.verb == "CONNECT"
    fields: dict[str, Any] = json.loads(first.words[0])
    return fields
