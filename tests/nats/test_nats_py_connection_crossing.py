"""The queues between the threads, without threads; and what goes over them as bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_nats.nats_py.crossing import ToLoop, ToTrio
from osapi_nats.nats_py.wire import parse_headers, publish_command

if TYPE_CHECKING:
    from collections.abc import Callable


class Wakes:
    """Stands for the other thread: counts how often it is woken, and runs when told to."""

    def __init__(self) -> None:
        self.due: list[Callable[[], object]] = []

    def run_sync_soon(self, call: Callable[[], object]) -> None:
        self.due.append(call)

    call_soon_threadsafe = run_sync_soon

    def turn(self) -> int:
        """Let it run once, and return how often it was woken."""
        calls, self.due = self.due, []
        for call in calls:
            call()
        return len(calls)


def crash(error: Exception) -> None:
    raise AssertionError from error


def test_many_calls_to_trio_take_one_wake_up_and_keep_their_order() -> None:
    trios = Wakes()
    to_trio = ToTrio(cast("Any", trios), crash)
    made: list[int] = []
    for number in range(100):
        to_trio.post(made.append, number)
    assert made == []
    assert trios.turn() == 1
    assert made == list(range(100))
    assert trios.turn() == 0


def test_what_a_call_posts_has_a_turn_of_its_own() -> None:
    trios = Wakes()
    to_trio = ToTrio(cast("Any", trios), crash)
    made: list[str] = []
    to_trio.post(lambda: to_trio.post(made.append, "later"))
    to_trio.post(made.append, "first")
    trios.turn()
    assert made == ["first"]
    assert trios.turn() == 1
    assert made == ["first", "later"]


def test_an_error_of_one_call_is_told_and_the_others_are_made() -> None:
    errors: list[Exception] = []
    trios = Wakes()
    to_trio = ToTrio(cast("Any", trios), errors.append)
    made: list[int] = []
    error = KeyError("mine")

    def fail() -> None:
        raise error

    to_trio.post(fail)
    to_trio.post(made.append, 1)
    trios.turn()
    assert errors == [error]
    assert made == [1]


def test_after_the_end_nothing_is_made() -> None:
    trios = Wakes()
    to_trio = ToTrio(cast("Any", trios), crash)
    made: list[int] = []
    to_trio.post(made.append, 1)
    to_trio.end()
    to_trio.post(made.append, 2)
    trios.turn()
    assert made == []


def test_many_commands_to_the_loop_take_one_wake_up_and_keep_their_order() -> None:
    loops = Wakes()
    to_loop = ToLoop(cast("Any", loops))
    sent = [str(number).encode() for number in range(100)]
    for command in sent:
        to_loop.post(command)
    assert loops.turn() == 1
    assert asyncio.run(to_loop.take()) == sent
    to_loop.post(b"more")
    assert loops.turn() == 1


names = st.text(st.characters(codec="utf-8", exclude_characters=":", exclude_categories=["Z", "C"]), min_size=1)
values = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"))


@given(st.dictionaries(names, values, min_size=1), st.binary())
def test_headers_and_payload_come_back_as_they_were(headers: dict[str, str], payload: bytes) -> None:
    line, _, rest = publish_command("a.b", payload, "inbox", headers).partition(b"\r\n")
    word, subject, reply, size, total = line.split(b" ")
    assert (word, subject, reply) == (b"HPUB", b"a.b", b"inbox")
    assert parse_headers(rest[: int(size)]) == (headers, 0, "")
    assert rest[int(size) :] == payload + b"\r\n"
    assert int(total) == int(size) + len(payload)


BLOCKS: list[tuple[bytes, tuple[dict[str, str], int, str]]] = [
    (b"NATS/1.0\r\n\r\n", ({}, 0, "")),
    (b"NATS/1.0 503\r\n\r\n", ({}, 503, "")),
    (b"NATS/1.0 404 No Messages\r\n\r\n", ({}, 404, "No Messages")),
    (b"NATS/1.0 100 Idle Heartbeat\r\nA: 1\r\nB:2\r\n\r\n", ({"A": "1", "B": "2"}, 100, "Idle Heartbeat")),
    (b"NATS/1.0\r\nStatus: 404\r\n\r\n", ({"Status": "404"}, 0, "")),
    (b"NATS/1.0 x\r\nA: 1\r\nA: 2\r\nno colon\r\n\r\n", ({"A": "2"}, 0, "")),
    (b"NATS/1.0\r\nA: \xff\r\n\r\n", ({"A": "\ufffd"}, 0, "")),
]


@pytest.mark.parametrize(("block", "parsed"), BLOCKS)
def test_what_the_server_says_in_headers(block: bytes, parsed: tuple[dict[str, str], int, str]) -> None:
    assert parse_headers(block) == parsed
