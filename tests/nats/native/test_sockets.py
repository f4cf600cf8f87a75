"""A plain socket behaves as a stream does: what comes, the end, a break, a cancelled wait."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from osapi_nats.native.sockets import receiver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Ends = tuple[trio.SocketStream, trio.SocketStream]


@pytest.fixture
async def ends() -> AsyncGenerator[Ends]:
    """Give both ends of a connection."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        ours = await trio.open_tcp_stream(*listener.socket.getsockname())
        theirs = await listener.accept()
    async with ours, theirs:
        yield ours, theirs


async def test_what_comes_is_received_in_order_and_then_the_end(ends: Ends) -> None:
    ours, theirs = ends
    receive = receiver(ours)
    sent = bytes(range(256)) * 4096
    received = bytearray()

    async def send() -> None:
        await theirs.send_all(sent)
        await theirs.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with trio.fail_after(20):
            while piece := await receive():
                received += piece
    assert received == sent
    assert await receive() == b""


async def test_a_cancelled_wait_loses_nothing(ends: Ends) -> None:
    ours, theirs = ends
    receive = receiver(ours)
    with trio.move_on_after(0.01) as scope:
        await receive()
    assert scope.cancelled_caught
    await theirs.send_all(b"later")
    with trio.fail_after(20):
        assert await receive() == b"later"


async def test_a_connection_that_is_reset_is_broken(ends: Ends) -> None:
    ours, theirs = ends
    # Closed with nothing to linger for, a socket says so by a reset.
    theirs.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.socket.close()
    with trio.fail_after(20), pytest.raises(trio.BrokenResourceError):
        await receiver(ours)()


async def test_a_stream_that_is_closed_meanwhile_says_so(ends: Ends) -> None:
    ours, _ = ends
    receive = receiver(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.aclose)
        with trio.fail_after(20), pytest.raises(trio.ClosedResourceError):
            await receive()
    with pytest.raises(trio.ClosedResourceError):
        await receive()


async def test_any_other_stream_is_read_as_it_is() -> None:
    one, other = trio.testing.memory_stream_pair()
    await other.send_all(b"bytes")
    assert await receiver(one)() == b"bytes"
    await other.aclose()
    assert await receiver(one)() == b""
