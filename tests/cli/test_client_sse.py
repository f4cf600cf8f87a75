"""The parser of server-sent events: what the standard's own examples say, and whatever pieces it comes in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_cli.client import sse
from osapi_cli.client.sse import Event, Parser


def parsed(*pieces: bytes) -> list[Event]:
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


def event(data: str, name: str = "message", last: str = "") -> Event:
    return Event(event=name, data=data, id=last)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The examples of the standard.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [event("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [event("first event", last="1"), event("second event"), event(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [event(""), event("\n")]),
        (b"data:test\n\ndata: test\n\n", [event("test"), event("test")]),
        # And what it says besides.
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [event("1", "add"), event("2")]),
        (b"event: add\n\ndata: 2\n\n", [event("2")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [event("1")]),
        (b"data: \xef\xbb\xbf1\n\n", [event("\ufeff1")]),
        (b"data: 1\r\ndata: 2\r\n\r\n", [event("1\n2")]),
        (b"data: 1\r\rx\r", [event("1")]),
        (b"id: a\0b\ndata: 1\n\n", [event("1")]),
        (b"id: 7\n\ndata: 1\n\n", [event("1", last="7")]),
        (b"other: 1\ndata: a:b\n\n", [event("a:b")]),
        (b"data: \xff\n\n", [event("\ufffd")]),
        ("data: \u2028\x0b\n\n".encode(), [event("\u2028\x0b")]),
    ],
)
def test_a_stream_is_taken_apart(stream: bytes, events: list[Event]) -> None:
    assert parsed(stream) == events


@pytest.mark.parametrize(
    ("told", "retry"), [(b"2000", 2.0), (b"x", None), (b"-1", None), (b"", None), (b"9" * 99, None)]
)
def test_how_long_to_wait(told: bytes, retry: float | None) -> None:
    parser = Parser()
    assert list(parser.feed(b"retry: " + told + b"\n")) == []
    assert parser.retry == retry


def test_an_id_counts_once_its_event_is_complete() -> None:
    parser = Parser("before", 3.0)
    assert (parser.last_id, parser.retry) == ("before", 3.0)
    assert list(parser.feed(b"id: 1\ndata: x\n")) == []
    assert parser.last_id == "before"
    assert list(parser.feed(b"\n")) == [event("x", last="1")]
    assert parser.last_id == "1"


@pytest.mark.parametrize("piece", [b"data: xxxx\n", b"x" * 11])
def test_an_event_without_end_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    parser = Parser()
    with pytest.raises(sse.TooLargeError):
        for _ in range(100):
            list(parser.feed(piece))


line = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=8)
names = st.text("abcxyz-", min_size=1, max_size=5)
ids = line.map(lambda text: text.replace("\0", ""))
events_ = st.lists(st.tuples(names, st.lists(line, min_size=1, max_size=3), ids), max_size=4)
ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(events_, ends, st.lists(st.integers(0, 200), max_size=8))
def test_the_pieces_do_not_matter(told: list[tuple[str, list[str], str]], end: str, cuts: list[int]) -> None:
    lines: list[str] = []
    for name, data, last in told:
        lines += [f"event: {name}", *(f"data: {text}" for text in data), f"id: {last}", ": a comment", ""]
    # A comment at the end, since a CR at the very end may be the half of a CR LF.
    stream = "".join(f"{text}{end}" for text in [*lines, ":"]).encode()
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    pieces = [stream[a:b] for a, b in pairwise(places)]

    assert parsed(*pieces) == [event("\n".join(data), name, last) for name, data, last in told]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_whatever_comes_is_taken_as_one(pieces: list[bytes]) -> None:
    assert parsed(*pieces, b"\n") == parsed(b"".join(pieces), b"\n")
