"""Output: cut into chunks without loss, and read in one order that only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from osapi.errors import RecordError
from osapi.rules import lifecycle
from osapi.rules.codec import RECORD
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.output import PAUSE, Chunk, Gathered, data_of, pause, places, written
from osapi.rules.records import Output, SlotStatus
from tests.rules.builders import definition, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.rules.output import Place
    from osapi.rules.records import Record
    from osapi.rules.reports import Stream

streams = st.sampled_from(["stdout", "stderr"])
# None is a storing of what has come so far.
writes = st.lists(st.none() | st.tuples(st.binary(max_size=12), streams), max_size=20)
texts = st.lists(st.none() | st.text("aé€😀", max_size=6), max_size=12)


def stored(gathered: Gathered) -> list[tuple[Stream, bytes]]:
    taken = [data_of(chunk) for chunk in gathered.chunks]
    gathered.chunks.clear()
    return taken


# --- Writing -----------------------------------------------------------------------------------------------


@given(writes, st.integers(0, 60), st.integers(4, 9))
def test_what_was_kept_comes_back_in_order_and_the_rest_is_counted(
    script: list[tuple[bytes, Stream] | None], room: int, size: int
) -> None:
    gathered = Gathered(room, size)
    chunks: list[tuple[Stream, bytes]] = []
    kept: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
    total, left = 0, room
    for step in script:
        if step is None:
            gathered.cut(last=False)
            chunks += stored(gathered)
            continue
        data, stream = step
        assert gathered.write(data, stream) is bool(data[:left])
        kept[stream] += data[:left]
        left -= len(data[:left])
        total += len(data)
    gathered.cut(last=True)
    chunks += stored(gathered)
    for stream, whole in kept.items():
        assert b"".join(data for of, data in chunks if of == stream) == whole
    assert gathered.dropped == total - (room - left)
    assert all(0 < len(data) <= size for _, data in chunks)


@given(texts, st.integers(4, 9), st.data())
def test_every_chunk_of_a_text_is_text(script: list[str | None], size: int, data: st.DataObject) -> None:
    gathered = Gathered(10_000, size)
    chunks: list[tuple[Stream, bytes]] = []
    for step in script:
        if step is None:
            gathered.cut(last=False)
            chunks += stored(gathered)
            continue
        # Read from a pipe, a character may come in pieces.
        raw = step.encode()
        where = data.draw(st.integers(0, len(raw)))
        gathered.write(raw[:where], "stdout")
        if data.draw(st.booleans()):
            gathered.cut(last=False)
            chunks += stored(gathered)
        gathered.write(raw[where:], "stdout")
    gathered.cut(last=True)
    chunks += stored(gathered)
    assert "".join(chunk.decode() for _, chunk in chunks) == "".join(step for step in script if step)


def test_what_is_no_text_is_not_held_back_for_long() -> None:
    gathered = Gathered(100, 10)
    gathered.write(b"\xff" * 5 + b"\x80" * 5, "stderr")
    gathered.cut(last=False)
    assert stored(gathered) == [("stderr", b"\xff" * 5 + b"\x80" * 5)]
    gathered.write(b"\xe2\x82", "stdout")
    gathered.cut(last=False)
    assert stored(gathered) == []
    gathered.cut(last=True)
    assert stored(gathered) == [("stdout", b"\xe2\x82")]


def test_it_is_full_when_there_is_a_chunk_of_one_stream() -> None:
    gathered = Gathered(100, 10)
    gathered.write(b"123456789", "stdout")
    gathered.write(b"123456789", "stderr")
    assert not gathered.is_full
    gathered.write(b"0", "stderr")
    assert gathered.is_full


def test_what_is_given_up_counts_as_dropped() -> None:
    gathered = Gathered(100, 4)
    gathered.write(b"123456", "stdout")
    gathered.cut(last=False)
    assert stored(gathered)[0] == ("stdout", b"1234")
    gathered.write(b"78", "stdout")
    gathered.write(b"9", "stderr")
    gathered.cut(last=False)
    gathered.write(b"abc", "stdout")
    gathered.give_up()
    assert not gathered.write(b"de", "stdout")
    gathered.cut(last=True)
    assert (stored(gathered), gathered.dropped) == ([], 8)


def test_no_room_is_no_room() -> None:
    gathered = Gathered(-5, 4)
    assert not gathered.write(b"abc", "stdout")
    assert gathered.dropped == 3


def test_pauses_grow_so_that_a_trickle_is_bounded() -> None:
    assert pause(0) == PAUSE
    times, seconds = 0, 0.0
    while seconds < 3600.0:
        seconds += pause(times)
        times += 1
    assert times < 3_800
    assert pause(times) < 2.0


@pytest.mark.parametrize("value", [b"", b"0abc", b"3", b"abc"])
def test_what_is_no_chunk_is_refused(value: bytes) -> None:
    with pytest.raises(RecordError, match="a stored chunk of output cannot be read"):
        data_of(value)


def test_a_chunk_shows_its_text() -> None:
    assert Chunk(host="a", slot="a", attempt=1, number=0, position=1, data=b"\xc3\xa9\xff").text == "é\ufffd"


# --- Reading -----------------------------------------------------------------------------------------------


def everything(of: Record) -> list[Place]:
    return places(of, 0, 1000)


@st.composite
def stories(draw: st.DrawFn) -> list[Record]:
    """Return the records of one slot in the order in which they were written."""
    now = 100.0
    told = [claimed(None, draw(st.sampled_from("ab")), now)]
    for move in draw(
        st.lists(st.sampled_from(["store", "store", "renew", "retry", "release", "take over"]), max_size=9)
    ):
        now += 1.0
        last = told[-1]
        if last.status is SlotStatus.RETRYABLE or move == "take over":
            told.append(claimed(last, draw(st.sampled_from("ab")), now))
        elif move == "store":
            told.append(more(last, draw(st.integers(0, 2)), draw(st.integers(0, 1))))
        else:
            told.append(MOVES[move](last, now))
    end = draw(st.sampled_from(["complete", "fail", "expire", "none"]))
    if end == "expire" or (end != "none" and told[-1].status is SlotStatus.RUNNING):
        told.append(MOVES[end](told[-1], now))
    return told


def claimed(before: Record | None, host: str, now: float) -> Record:
    return lifecycle.claim(before, definition(), slot="_any", host=host, lease="l", until=now, now=now)


def more(last: Record, chunks: int, dropped: int) -> Record:
    old = last.output or Output()
    return replace(last, output=Output(chunks=old.chunks + chunks, dropped=old.dropped + dropped))


MOVES: dict[str, Callable[[Record, float], Record]] = {
    "renew": lambda last, now: lifecycle.renew(last, until=now + 10.0, now=now),
    "retry": lambda last, now: lifecycle.retry(last, "busy", next_at=now, now=now),
    "release": lambda last, now: lifecycle.release(last, "stopped", now=now),
    "complete": lambda last, now: lifecycle.complete(last, Raw(b"1"), changed=False, now=now),
    "fail": lambda last, now: lifecycle.fail(last, "no", now=now),
    "expire": lambda last, now: lifecycle.expire(last, "late", now=now),
}


@given(stories())
def test_the_sequence_of_a_slot_only_grows_at_its_end(story: Sequence[Record]) -> None:
    before: list[Place] = []
    for after in story:
        found = everything(RECORD.decode(RECORD.encode(after)))
        assert found[: len(before)] == before
        assert [place.position for place in found] == list(range(1, len(found) + 1))
        before = found


@given(stories(), st.integers(0, 12), st.integers(1, 5))
def test_reading_goes_on_from_any_position(story: Sequence[Record], position: int, most: int) -> None:
    whole = everything(story[-1])
    assert places(story[-1], position, most) == whole[position : position + most]


@given(stories())
def test_all_that_was_admitted_is_in_the_sequence_and_every_loss_is_told(story: Sequence[Record]) -> None:
    last = story[-1]
    numbers: dict[int, Output] = {attempt.number: attempt.output or Output() for attempt in last.earlier}
    if last.output is not None:
        numbers[last.attempt] = last.output
    found = everything(last)
    for attempt, output in numbers.items():
        own = [place for place in found if place.attempt == attempt]
        assert [place.number for place in own if not place.dropped] == list(range(output.chunks))
        has_ended = attempt != last.attempt or last.status in TERMINAL or last.output is None
        assert [place.dropped for place in own if place.dropped] == (
            [output.dropped] * has_ended if output.dropped else []
        )


def test_what_is_written_counts_over_all_attempts() -> None:
    first = replace(record(), output=Output(chunks=1, bytes=10))
    second = lifecycle.claim(first, definition(), slot="_any", host="b", lease="l", until=1.0, now=1.0)
    assert written(replace(second, output=Output(chunks=2, bytes=5))) == 15
    assert written(record()) == 0
