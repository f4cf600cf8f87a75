"""What waits to be sent: together, or at once, and in order either way."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
import trio.testing

from osapi_nats.native.outbox import Outbox
from osapi_nats.native.sockets import sender

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[trio.SocketStream, socket.socket]]:
    """Give a stream to send on, and the plain socket that it leads to."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream:
        with theirs:
            yield stream, theirs


async def test_the_first_after_a_silence_is_sent_at_once_and_what_follows_in_order() -> None:
    async with pair() as (stream, theirs), trio.open_nursery() as nursery:
        outbox = Outbox(sender(stream))
        outbox.post(b"one")
        assert theirs.recv(100) == b"one"
        assert (outbox.size, outbox.sent) == (0, 3)
        outbox.post(b"two")
        outbox.post(b"three")
        assert outbox.size == 8
        nursery.start_soon(outbox.send, stream)
        await trio.testing.wait_all_tasks_blocked()
        assert theirs.recv(100) == b"twothree"
        assert (outbox.size, outbox.sent) == (0, 11)
        nursery.cancel_scope.cancel()


async def test_who_sends_much_sends_it_together() -> None:
    async with pair() as (stream, theirs), trio.open_nursery() as nursery:
        outbox = Outbox(sender(stream))
        nursery.start_soon(outbox.send, stream)
        for data in (b"0", b"1", b"2", b"3"):
            outbox.post(data)
        await trio.sleep(0.01)
        assert theirs.recv(100) == b"0123"
        outbox.post(b"4")
        assert outbox.size == 1
        await trio.sleep(0.01)
        assert theirs.recv(100) == b"4"
        # That was little: the next one goes at once again.
        outbox.post(b"5")
        assert theirs.recv(100) == b"5"
        nursery.cancel_scope.cancel()


async def test_what_the_socket_does_not_take_waits() -> None:
    async with pair() as (stream, theirs), trio.open_nursery() as nursery:
        outbox = Outbox(sender(stream))
        large = bytes(range(256)) * (1 << 14)
        outbox.post(large)
        assert 0 < outbox.size < len(large)
        outbox.post(b"end")
        nursery.start_soon(outbox.send, stream)
        received = b""
        with trio.fail_after(20):
            while len(received) < len(large) + 3:
                await trio.lowlevel.wait_readable(theirs)
                received += theirs.recv(1 << 20)
        assert received == large + b"end"
        nursery.cancel_scope.cancel()


async def test_a_closed_socket_takes_nothing() -> None:
    async with pair() as (stream, theirs):
        outbox = Outbox(sender(stream))
        await stream.aclose()
        outbox.post(b"lost")
        assert outbox.size == 4
        assert theirs.recv(100) == b""


async def test_other_streams_are_left_to_the_writer() -> None:
    one, _ = trio.testing.memory_stream_pair()
    assert sender(one) is None
