"""What time does to a connection: silence, stalls, and the end. All of it is virtual."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from osapi.errors import DisconnectedError
from osapi_nats.native.connection import MAX_UNSENT, open_connection
from osapi_nats.native.session import FAREWELL, SILENCE
from osapi_nats.options import Options
from tests.nats.connections import record
from tests.nats.native.farm import Farm, States, farm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock


A = "a:4222"
PIECE = 1 << 18


@pytest.fixture
async def servers() -> AsyncIterator[Farm]:
    async with farm() as servers:
        servers.add(A)
        yield servers


# --- Silence -----------------------------------------------------------------------------------------------------


async def test_a_silent_server_is_given_up_after_two_pauses(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        began = trio.current_time()
        silent = servers.servers[A].peer
        silent.answers = False
        assert await states.wait(1) - began == 2 * SILENCE
        await silent.left.wait()
        assert await states.wait(2) - began == 2 * SILENCE
        assert states.seen == [False, True]
        assert silent.said.count(b"PING") == 2  # with CONNECT, and to find out


async def test_a_quiet_server_that_answers_is_kept(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        await trio.sleep(100 * SILENCE)
        assert states.seen == []
        assert 45 <= servers.servers[A].peer.said.count(b"PING") <= 101


async def test_whoever_speaks_is_not_asked(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        messages = record(connection, "a")
        peer = servers.servers[A].peer
        for _ in range(20):
            await trio.sleep(0.9 * SILENCE)
            await peer.say(b"MSG a 1 0\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked()
        assert len(messages) == 20
        assert peer.said.count(b"PING") == 1


async def test_pings_are_answered(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect():
        await servers.servers[A].peer.say(b"PING\r\nPING\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert servers.servers[A].peer.said.count(b"PONG") == 2


# --- A way that is slow, or stuck --------------------------------------------------------------------------------


async def test_a_slow_way_is_not_taken_for_silence(servers: Farm, autojump_clock: MockClock) -> None:
    servers.servers[A].is_tight = True
    async with servers.connect() as connection:
        states = States(connection)
        peer = servers.servers[A].peer
        peer.pause = 0.75 * SILENCE
        for _ in range(40):
            connection.publish("a", b"x" * PIECE)
        began = trio.current_time()
        await connection.flush()
        assert trio.current_time() - began > 20 * SILENCE
        assert len(peer.subjects()) == 40
        assert states.seen == []


async def test_a_way_that_is_stuck_is_given_up(servers: Farm, autojump_clock: MockClock) -> None:
    servers.servers[A].is_tight = True
    async with servers.connect() as connection:
        states = States(connection)
        peer = servers.servers[A].peer
        peer.reads = trio.Event()
        began = trio.current_time()
        for number in range(10):
            connection.publish(f"lost.{number}", b"x" * PIECE)
        with pytest.raises(DisconnectedError, match="broke before the server had taken everything"):
            await connection.flush()
        assert trio.current_time() - began <= 3 * SILENCE
        await states.wait(2)
        connection.publish("later", b"")
        await connection.flush()
        assert servers.servers[A].peer.subjects() == ["later"]


async def test_a_trickle_into_the_void_does_not_hide_silence(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        servers.servers[A].peer.answers = False
        began = trio.current_time()
        while not states.seen:
            connection.publish("void", b"")
            await trio.sleep(0.1)
        assert await states.wait(1) - began == 2 * SILENCE


async def test_what_does_not_fit_is_refused_and_not_sent(servers: Farm, autojump_clock: MockClock) -> None:
    servers.servers[A].is_tight = True
    async with servers.connect() as connection:
        peer = servers.servers[A].peer
        peer.reads = trio.Event()
        taken = 0
        with pytest.raises(DisconnectedError, match=r"does not keep up: 1[67]\d{6} bytes wait"):
            for taken in range(1000):
                connection.publish(f"a.{taken}", b"x" * PIECE)
                await trio.lowlevel.checkpoint()  # what is being sent counts as well
        assert taken * PIECE <= MAX_UNSENT + PIECE
        peer.reads.set()
        await connection.flush()
        assert peer.subjects() == [f"a.{number}" for number in range(taken)]
        connection.publish("again", b"")
        await connection.flush()
        assert peer.subjects()[-1] == "again"


async def test_what_is_posted_in_one_turn_goes_out_at_once(servers: Farm, autojump_clock: MockClock) -> None:
    servers.servers[A].is_tight = True
    async with servers.connect() as connection:
        peer = servers.servers[A].peer
        await trio.testing.wait_all_tasks_blocked()
        before = len(peer.said)
        for number in range(1000):
            connection.publish(f"a.{number}", b"")
        peer.pause = 3600  # one more read, and no other
        await trio.testing.wait_all_tasks_blocked()
        assert peer.said[before:].count(b"PUB") == 1000


# --- The end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("posted", [0, 1, 30])
async def test_the_block_ends_within_a_second_though_the_server_hangs(
    servers: Farm, autojump_clock: MockClock, posted: int
) -> None:
    servers.servers[A].is_tight = True
    async with servers.connect() as connection:
        peer = servers.servers[A].peer
        peer.reads, peer.answers = trio.Event(), False
        for _ in range(posted):
            connection.publish("a", b"x" * PIECE)
        began = trio.current_time()
    assert trio.current_time() - began == FAREWELL


async def test_what_was_posted_goes_out_before_the_end_even_of_a_cancelled_block(
    servers: Farm, autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:
        async with servers.connect() as connection:
            for number in range(100):
                connection.publish(f"a.{number}", b"")
            scope.cancel()
            await trio.sleep_forever()
    assert len(servers.servers[A].peer.subjects()) == 100
    await servers.servers[A].peer.left.wait()


async def test_the_block_ends_at_once_without_a_connection(servers: Farm, autojump_clock: MockClock) -> None:
    async with open_connection(Options(servers=(A,)), random=Random(1), dial=servers.dial) as connection:
        states = States(connection)
        server = servers.servers.pop(A)
        await server.peer.hang_up()
        await states.wait(1)
        await trio.sleep(10)
        began = trio.current_time()
    assert trio.current_time() == began
