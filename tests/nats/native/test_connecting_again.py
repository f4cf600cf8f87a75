"""Which server is tried when, and when one is left. All time is virtual."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import trio

from osapi.errors import DisconnectedError
from osapi_nats.native.session import FAREWELL
from tests.nats.native.farm import Farm, States, farm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock


A, B = "a:4222", "b:4222"


@pytest.fixture
async def servers() -> AsyncIterator[Farm]:
    async with farm() as servers:
        servers.add(A)
        yield servers


# --- Connecting again --------------------------------------------------------------------------------------------


async def test_the_first_try_is_at_once_and_pauses_grow_to_two_seconds(
    servers: Farm, autojump_clock: MockClock
) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        await trio.sleep(3)
        server = servers.servers.pop(A)
        servers.tried.clear()
        broke = trio.current_time()
        await server.peer.hang_up()
        await trio.sleep(120)
        assert states.seen == [False]
        times = [time for time, _ in servers.tried]
        assert times[0] == broke
        pauses = [after - before for before, after in pairwise(times)]
        assert max(pauses[:3]) <= 0.4
        assert 1 < max(pauses[6:]) <= 2
        assert len(pauses) > 60
        servers.add(A)
        assert await states.wait(2) - broke <= 122


async def test_a_connection_that_has_lasted_ends_the_pauses(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        server = servers.servers.pop(A)
        await server.peer.hang_up()
        await trio.sleep(60)
        server = servers.add(A)
        await states.wait(2)
        await trio.sleep(3)
        await server.peer.hang_up()
        assert await states.wait(3) == await states.wait(4) == trio.current_time()


async def test_a_server_that_throws_us_out_again_and_again_is_not_pestered(
    servers: Farm, autojump_clock: MockClock
) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        servers.servers[A].kicks = True
        await servers.servers[A].peer.hang_up()
        await trio.sleep(60)
        assert 30 <= len(servers.tried) <= 120
        assert set(states.seen) == {False, True}


async def test_another_server_comes_before_the_one_that_broke(servers: Farm, autojump_clock: MockClock) -> None:
    servers.add(B)
    async with servers.connect() as connection:
        states = States(connection)
        for count in (2, 4, 6, 8):
            first = servers.tried[-1][1]
            await trio.sleep(3)
            await servers.servers[first].peer.hang_up()
            await states.wait(count)
            assert servers.tried[-1][1] != first
            assert connection.server.url == f"nats://{servers.tried[-1][1]}"
        assert len(servers.tried) == 5


async def test_a_server_that_hangs_is_left_for_the_next(servers: Farm, autojump_clock: MockClock) -> None:
    servers.add(B)
    async with servers.connect(timeout=300) as connection:
        states = States(connection)
        used = servers.tried[-1][1]
        other = B if used == A else A
        servers.servers[other].is_silent = True
        broke = trio.current_time()
        await servers.servers[used].peer.hang_up()
        assert await states.wait(2) - broke == 5
        assert [server for _, server in servers.tried[-2:]] == [other, used]


async def test_a_refusal_later_is_told_once_and_tried_on(
    servers: Farm, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with servers.connect(user="ann", password="hunter2") as connection:
        states = States(connection)
        server = servers.servers[A]
        server.refusal = b"-ERR 'Authorization Violation'\r\n"
        await server.peer.hang_up()
        await trio.sleep(60)
        assert states.seen == [False]
        assert len(server.peers) > 10
        server.refusal = b""
        await states.wait(2)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        (
            f"cannot connect again: the server at {A} refused our user and password (Authorization Violation): "
            "correct them in the URL; trying on"
        )
    ]
    assert "hunter2" not in caplog.text


# --- The first connection ----------------------------------------------------------------------------------------


async def test_all_servers_together_have_the_timeout(autojump_clock: MockClock) -> None:
    async with farm() as servers:
        for name in (A, B, "c:4222"):
            servers.add(name).is_silent = True
        with pytest.raises(DisconnectedError, match=r"\(no answer within 1 s\).*; .*; no NATS server answers at"):
            async with servers.connect(timeout=3):
                pass
        assert trio.current_time() == 3
        servers.servers[B].is_silent = False
        async with servers.connect(timeout=3) as connection:
            assert connection.server.url == f"nats://{B}"


# --- Lame duck mode ----------------------------------------------------------------------------------------------

LAME = b'INFO {"server_name":"x","version":"2.15.1","ldm":true,"connect_urls":["b:4222"]}\r\n'
ALONE = b'INFO {"server_name":"x","version":"2.15.1","ldm":true}\r\n'


async def test_a_lame_duck_is_left_once_all_is_sent(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        servers.add(B)
        states = States(connection)
        peer = servers.servers[A].peer
        await peer.say(LAME + LAME)
        await trio.lowlevel.checkpoint()
        for number in range(10):
            connection.publish(f"a.{number}", b"")
        await peer.left.wait()
        assert len(peer.subjects()) == 10
        await states.wait(2)
        assert states.seen == [False, True]
        assert connection.server.url == f"nats://{B}"


async def test_a_lame_duck_that_does_not_answer_is_left_as_well(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        servers.add(B)
        peer = servers.servers[A].peer
        peer.answers = False
        states = States(connection)
        began = trio.current_time()
        await peer.say(LAME)
        assert await states.wait(1) - began == FAREWELL


async def test_the_only_server_is_kept_though_it_is_lame(servers: Farm, autojump_clock: MockClock) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        await servers.servers[A].peer.say(ALONE)
        await trio.sleep(60)
        assert states.seen == []
