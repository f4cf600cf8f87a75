"""What happens in which order, and what breaks a connection and what does not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from osapi.errors import DisconnectedError
from tests.nats.connections import record
from tests.nats.native import wire
from tests.nats.native.farm import Farm, States, farm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from osapi_nats.connection import Connection, Incoming

A = "a:4222"


@pytest.fixture
async def servers() -> AsyncIterator[Farm]:
    async with farm() as servers:
        servers.add(A)
        yield servers


# --- Order -------------------------------------------------------------------------------------------------------


async def test_messages_come_before_the_break_that_follows_them(servers: Farm) -> None:
    order: list[object] = []
    async with servers.connect() as connection:
        connection.subscribe("a", lambda message: order.append(message.payload))
        connection.watch_state(order.append)
        states = States(connection)
        peer = servers.servers[A].peer
        await peer.say(b"MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\n")
        await peer.hang_up()
        await states.wait(2)
        await servers.servers[A].peer.say(b"MSG a 1 1\r\n3\r\n")
        await trio.testing.wait_all_tasks_blocked()
    assert order == [b"1", b"2", False, True, b"3"]


async def test_subscriptions_are_in_place_before_anything_else_is_sent(servers: Farm) -> None:
    async with servers.connect() as connection:
        connection.watch_state(lambda is_up: connection.publish("at.once", b"") if is_up else None)
        states = States(connection)
        for subject in "abc":
            connection.subscribe(subject, lambda _: None).unsubscribe()
            connection.subscribe(subject, lambda _: None)
        await servers.servers[A].peer.hang_up()
        await states.wait(2)
        await connection.flush()
        commands = [command for command in wire.read(servers.servers[A].peer.said) if command.verb != "PING"]
        assert [(command.verb, *command.words) for command in commands[1:]] == [
            ("SUB", "a", "2"),
            ("SUB", "b", "4"),
            ("SUB", "c", "6"),
            ("PUB", "at.once"),
        ]


async def test_without_a_connection_interests_are_noted_and_nothing_is_accepted(servers: Farm) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        server = servers.servers.pop(A)
        ended = connection.subscribe("ended", lambda _: None)
        await server.peer.hang_up()
        await states.wait(1)
        ended.unsubscribe()
        connection.subscribe("noted", lambda _: None)
        with pytest.raises(DisconnectedError, match="is down"):
            connection.publish("a", b"")
        with pytest.raises(DisconnectedError, match="is down"):
            await connection.flush()
        assert connection.server.url == f"nats://{A}"
        servers.servers[A] = server
        await states.wait(2)
        await connection.flush()
        subscribed = [command.words for command in wire.read(server.peer.said) if command.verb == "SUB"]
        assert subscribed == [["noted", "2"]]


async def test_flushes_are_answered_in_order_and_cancelled_ones_keep_their_place(servers: Farm) -> None:
    async with servers.connect() as connection:
        peer = servers.servers[A].peer
        peer.answers = False
        over: list[int] = []

        async def flush(number: int) -> None:
            await connection.flush()
            over.append(number)

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0):
                await connection.flush()
            for number in range(2):
                nursery.start_soon(flush, number)
                await trio.testing.wait_all_tasks_blocked()
            for expected in ([], [0], [0, 1], [0, 1]):
                await peer.say(b"PONG\r\n")
                await trio.testing.wait_all_tasks_blocked()
                assert over == expected
        peer.answers = True


async def test_after_unsubscribe_not_even_what_has_come_already_arrives(servers: Farm) -> None:
    seen: list[bytes] = []

    def once(message: Incoming) -> None:
        seen.append(message.payload)
        subscription.unsubscribe()
        subscription.unsubscribe()

    async with servers.connect() as connection:
        subscription = connection.subscribe("a", once)
        await servers.servers[A].peer.say(b"MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\nMSG a 9 1\r\n3\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await connection.flush()
        assert seen == [b"1"]
        commands = wire.read(servers.servers[A].peer.said)
        assert [command.words for command in commands if command.verb == "UNSUB"] == [["1"]]


# --- What the server says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "complaint",
    [
        "Stale Connection",
        "Slow Consumer",
        "Authorization Violation",
        "User Authentication Expired",
        "Maximum Payload Violation",
        "Something New",
    ],
)
async def test_a_complaint_ends_the_connection_and_another_is_made(
    servers: Farm, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        messages = record(connection, "a")
        await servers.servers[A].peer.say(f"-ERR '{complaint}'\r\nMSG a 1 0\r\n\r\n".encode())
        await states.wait(2)
        assert len(messages) == 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"nats://{A} ends the connection: {complaint}"
    ]


async def test_a_refusal_is_told_once_and_harms_nobody(servers: Farm, caplog: pytest.LogCaptureFixture) -> None:
    publish, subscribe = 'Permissions Violation for Publish to "a"', 'Permissions Violation for Subscription to "b"'
    async with servers.connect() as connection:
        states = States(connection)
        for complaint in (publish, subscribe, publish, "Invalid Subject"):
            await servers.servers[A].peer.say(f"-ERR '{complaint}'\r\n".encode())
        await connection.flush()
        assert states.seen == []
    assert [record.getMessage() for record in caplog.records] == [
        f"the server refused: {complaint}" for complaint in (publish, subscribe, "Invalid Subject")
    ]


async def test_what_is_not_the_protocol_ends_the_connection(servers: Farm) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        first = servers.servers[A].peer
        await first.say(b"HELO\r\n")
        await states.wait(2)
        await first.left.wait()


async def test_what_a_server_says_of_itself_may_change(servers: Farm) -> None:
    async with servers.connect() as connection:
        assert connection.server.max_payload == 1 << 20
        await servers.servers[A].peer.say(b'INFO {"server_name":"y","version":"2.15.1","max_payload":7}\r\n')
        await connection.flush()
        assert (connection.server.name, connection.server.max_payload) == ("y", 7)


async def test_credentials_are_read_anew_for_each_connection(servers: Farm, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seeds = (
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
        "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4",
    )
    seed.write_text(seeds[0])
    async with servers.connect(nkey=str(seed)) as connection:
        states = States(connection)
        seed.write_text(seeds[1])
        await servers.servers[A].peer.hang_up()
        await states.wait(2)
        said = [wire.connect_fields(peer.said) for peer in servers.servers[A].peers]
        assert [sorted(fields.keys() & {"nkey", "sig"}) for fields in said] == [["nkey", "sig"]] * 2
        assert said[0]["nkey"] != said[1]["nkey"]


async def test_a_connection_is_used_by_many_tasks(servers: Farm) -> None:
    async def use(connection: Connection, number: int) -> None:
        connection.publish(f"a.{number}", b"")
        await connection.flush()
        assert f"a.{number}" in servers.servers[A].peer.subjects()

    async with servers.connect() as connection, trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(use, connection, number)
