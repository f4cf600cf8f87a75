"""The parser and the encoder, without I/O."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.protocol.parser import Parser as NatsPyParser

from osapi.errors import InvalidSubjectError
from osapi_nats.connection import MAX_CONTROL_LINE, Incoming
from osapi_nats.headers import parse_headers
from osapi_nats.native import protocol
from osapi_nats.native.protocol import Info, Parser, Ping, Pong, ProtocolError, Refused, Told
from tests.nats.native import wire

_FRAGMENTS = [b"MSG ", b"HMSG ", b"a ", b"-1 ", b"9" * 5000, b"1", b"\r\n", b"INFO {", b"}", b"-ERR ", b"\xff "]

# --- Reading -----------------------------------------------------------------------------------------------------


@given(st.lists(wire.events, max_size=6), wire.cuts)
def test_however_it_is_cut_the_same_comes_out(events: list[protocol.Event], cuts: list[int]) -> None:
    data = b"".join(map(wire.say, events))
    parser = Parser()
    assert [event for piece in wire.split(data, cuts) for event in parser.feed(piece)] == events
    assert parser.is_between


@given(st.lists(wire.events, min_size=1, max_size=3))
def test_byte_by_byte_each_event_comes_with_its_last_byte(events: list[protocol.Event]) -> None:
    parser = Parser()
    for event in events:
        *before, last = wire.say(event)
        for byte in before:
            assert parser.feed(bytes([byte])) == []
            assert not parser.is_between
        assert parser.feed(bytearray([last])) == [event]


@given(st.lists(wire.events, min_size=1, max_size=4), st.data())
def test_a_damaged_stream_gives_events_or_a_protocol_error(events: list[protocol.Event], data: st.DataObject) -> None:
    stream = bytearray(b"".join(map(wire.say, events)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not stream:
            return
    parser = Parser()
    try:
        for piece in wire.split(bytes(stream), data.draw(wire.cuts)):
            for event in parser.feed(piece):
                assert isinstance(event, protocol.Event)
    except ProtocolError as error:
        assert str(error)  # noqa: PT017 - it is one of two fair ends


@given(st.binary(max_size=200) | st.lists(st.sampled_from(_FRAGMENTS)).map(b"".join))
@example(b"HMSG\r\n")
@example(b"MSG a 1 1_0\r\n" + b"x" * 10 + b"\r\n")
@example(b"HMSG a 1 12 12\r\nNATS/1.0 " + b"9" * 5000 + b"\r\n")
def test_noise_gives_events_or_a_protocol_error(noise: bytes) -> None:
    try:
        events = Parser().feed(noise)
    except ProtocolError as error:
        assert str(error)  # noqa: PT017 - it is one of two fair ends
    else:
        assert all(isinstance(event, protocol.Event) for event in events)


@pytest.mark.parametrize(
    "data",
    [
        b"MSG a 1\r\n",
        b"MSG a b c d e f 1\r\n",
        b"MSG a x 1\r\n",
        b"MSG a 1 -1\r\n",
        b"MSG a 1 999999999999\r\n",
        b"MSG a 1 2\r\nabcd\r\n",
        b"HMSG a 1 5\r\n",
        b"HMSG a 1 6 5\r\n",
        b"HMSG a 1 -1 5\r\n",
        b"INFO {\r\n",
        b'INFO {"connect_urls":1}\r\n',
        b"INFO []\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"ping\r\n",
    ],
)
def test_what_is_not_the_protocol_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Parser().feed(data)


@pytest.mark.parametrize(("start", "limit"), [(b"MSG ", 2 * MAX_CONTROL_LINE), (b"INFO ", 1 << 20)])
def test_no_line_is_without_an_end(start: bytes, limit: int) -> None:
    parser = Parser()
    assert parser.feed(start + b"a" * (limit - len(start))) == []
    with pytest.raises(ProtocolError, match="without an end"):
        parser.feed(b"a")


def test_a_large_message_takes_little_more_memory_than_its_bytes() -> None:
    size, piece = 8 << 20, b"x" * (1 << 14)
    parser = Parser()
    tracemalloc.start()
    try:
        parser.feed(b"MSG a 1 %d\r\n" % size)
        for _ in range(size // len(piece)):
            assert parser.feed(piece) == []
        events = parser.feed(b"\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(events) == 1
    assert peak < 3 * size


def test_what_others_send_is_not_worth_the_connection() -> None:
    assert Parser().feed(b"MSG \xff 1 0\r\n\r\n") == [Told(1, Incoming("\ufffd", b""))]
    assert Parser().feed(b"HMSG a 1 4 6\r\n\xffbad{}\r\n") == [Told(1, Incoming("a", b"{}"))]
    huge = b"NATS/1.0 " + b"9" * 5000 + b"\r\n\r\n"
    assert Parser().feed(b"HMSG a 1 %d %d\r\n%b\r\n" % (len(huge), len(huge), huge)) == [Told(1, Incoming("a", b""))]


def test_what_a_server_says_of_itself() -> None:
    line = b'INFO {"server_name":"n","version":"2.15.1","max_payload":5,"connect_urls":null,"ldm":true,"new":[1]}\r\n'
    assert Parser().feed(b"+OK\r\n" + line) == [Info("n", "2.15.1", 5, ldm=True)]
    assert Parser().feed(b"-ERR 'Stale Connection'\r\n") == [Refused("Stale Connection")]
    assert Parser().feed(b"PING\r\nPONG\r\n") == [Ping(), Pong()]
    kinds: set[object] = {Ping(), Pong()}
    assert len(kinds) == 2


# --- Beside nats-py ----------------------------------------------------------------------------------------------


class Recorder:
    """Takes nats-py's client's place, as far as its parser knows it."""

    def __init__(self) -> None:
        self.events: list[object] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        status, description, found = parse_headers(headers) if headers else (0, "", {})
        self.events.append(Told(sid, Incoming(subject.decode(), data, reply.decode(), found, status, description)))

    async def _process_ping(self) -> None:
        self.events.append(Ping())

    async def _process_pong(self) -> None:
        self.events.append(Pong())

    async def _process_err(self, reason: str) -> None:
        self.events.append(Refused(reason.strip("'")))

    async def _process_info(self, fields: dict[str, Any]) -> None:
        self.events.append(protocol.Parser().feed(b"INFO %b\r\n" % json.dumps(fields).encode())[0])


def in_lower_case(event: object) -> object:
    # nats-py lowers complaints.
    return Refused(event.reason.lower()) if isinstance(event, Refused) else event


def has_no_feed(event: protocol.Event) -> bool:
    """Tell whether nats-py can read it: it takes form feeds for blanks, which servers do not."""
    return not isinstance(event, Told) or not {*"\v\f"} & {*event.message.subject, *event.message.reply}


@given(st.lists(wire.events.filter(has_no_feed), max_size=6), wire.cuts)
def test_nats_py_reads_the_same(events: list[protocol.Event], cuts: list[int]) -> None:
    pieces = wire.split(b"".join(map(wire.say, events)), cuts)
    recorder = Recorder()

    async def parse() -> None:
        parser = NatsPyParser(recorder)
        for piece in pieces:
            await parser.parse(piece)

    asyncio.run(parse())
    ours = Parser()
    assert [in_lower_case(event) for piece in pieces for event in ours.feed(piece)] == recorder.events


# --- Writing -----------------------------------------------------------------------------------------------------

_subjects = st.text(st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=30)


@given(_subjects, wire.payloads, st.just("") | _subjects, st.none() | wire.headers)
def test_a_server_reads_what_was_published(
    subject: str, payload: bytes, reply: str, headers: dict[str, str] | None
) -> None:
    commands = wire.read(protocol.publish(subject, payload, reply, headers) + protocol.PING)
    assert [command.verb for command in commands] == ["HPUB" if headers else "PUB", "PING"]
    command = commands[0]
    assert command.words == ([subject, reply] if reply else [subject])
    assert command.payload == payload
    assert (parse_headers(command.headers) if command.headers else (0, "", {})) == (0, "", headers or {})


@given(_subjects, st.integers(1, 1 << 40))
def test_a_server_reads_what_was_subscribed_to(subject: str, sid: int) -> None:
    commands = wire.read(protocol.subscribe(subject, sid) + protocol.unsubscribe(sid))
    assert [(command.verb, command.words) for command in commands] == [
        ("SUB", [subject, str(sid)]),
        ("UNSUB", [str(sid)]),
    ]


@given(st.text(max_size=12) | st.sampled_from(["", " ", "a b", "a\r\nPUB b 0\r\n", "a\t", "\na", "a\x00", "\u2028"]))
def test_a_subject_is_one_word_or_refused(subject: str) -> None:
    try:
        commands = wire.read(protocol.publish(subject, b"") + protocol.subscribe(subject, 1))
    except InvalidSubjectError:
        assert not subject or {*subject} & {*" \t\r\n\x00"}
    else:
        assert [command.words[0] for command in commands] == [subject, subject]


@pytest.mark.parametrize("letter", ["a", "é"])
def test_no_line_is_longer_than_a_server_reads(letter: str) -> None:
    longest = letter * ((MAX_CONTROL_LINE - 64) // len(letter.encode()))
    assert len(wire.read(protocol.publish(longest, b""))) == 1
    assert len(wire.read(protocol.subscribe(longest, 1 << 62))) == 1
    half = longest[: len(longest) // 2]
    assert len(wire.read(protocol.publish(half[:-1], b"x" * (1 << 20), half, {"a": "b"}))) == 1
    with pytest.raises(InvalidSubjectError, match="too long"):
        protocol.publish(longest + letter, b"")
    with pytest.raises(InvalidSubjectError, match="too long"):
        protocol.subscribe(longest + letter, 1)
    with pytest.raises(InvalidSubjectError, match="too long"):
        protocol.publish(half + letter, b"", half + letter)
