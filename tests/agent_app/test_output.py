from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent.output import Output

if TYPE_CHECKING:
    from trio.abc import ReceiveStream


def fed(chunks: list[bytes], room: int) -> Output:
    output = Output(room)

    async def feed() -> None:
        send, receive = trio.testing.memory_stream_one_way_pair()
        for chunk in chunks:
            await send.send_all(chunk)
        await send.aclose()
        await output.take(receive)

    trio.run(feed)
    return output


@given(st.lists(st.binary(max_size=40)), st.integers(2, 60))
def test_what_is_told_has_room_and_is_the_beginning(chunks: list[bytes], room: int) -> None:
    written = b"".join(chunks).decode("utf-8", "replace")

    text, truncated = fed(chunks, room).told()

    assert len(msgspec.json.encode(text)) - 2 <= room
    # Cut within a character, its beginning is replaced.
    assert written.startswith(text.rstrip("\N{REPLACEMENT CHARACTER}"))
    assert truncated == (text != written)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_that_fits_is_told_as_it_is(text: str) -> None:
    output = fed([text.encode()], 10 * len(text) + 2)

    assert output.told() == (text, False)
    assert output.tail(3) == text[-3:]


@pytest.mark.parametrize(("room", "told"), [(5, ("abcde", True)), (6, ("abcdef", False))])
def test_what_just_has_room_is_kept_whole(room: int, told: tuple[str, bool]) -> None:
    assert fed([b"abc", b"def"], room).told() == told


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert fed([b"caf\xe9"], 100).told() == ("caf\N{REPLACEMENT CHARACTER}", False)


def test_what_grows_as_json_is_cut_to_the_room_there() -> None:
    text, truncated = fed([b"\0" * 1000], 1000).told()

    assert truncated
    assert text == "\0" * (1000 // len(r"\u0000"))


async def test_cancelled_it_keeps_what_it_has_and_closes_the_pipe() -> None:
    send, receive = trio.testing.memory_stream_one_way_pair()
    output = Output()
    await send.send_all(b"so far")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.take, receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert output.told() == ("so far", False)
    await assert_closed(receive)


async def assert_closed(pipe: ReceiveStream) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await pipe.receive_some()
