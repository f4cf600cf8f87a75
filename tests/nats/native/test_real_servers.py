"""Messages through real servers, and servers that come and go."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import trio

from osapi.errors import DisconnectedError
from osapi_nats.connection import Incoming
from osapi_nats.native import open_connection
from osapi_nats.urls import parse_url
from tests.nats.connections import PATIENCE, freeze, options_of, record, request, run_member, until
from tests.nats.native.farm import States

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from osapi_nats.connection import Connection
    from osapi_nats.server import Server

pytestmark = pytest.mark.usefixtures("nats_binary")

NO_JETSTREAM: dict[str, Any] = {"jetstream": False}


@pytest.fixture
async def connection(nats_server: str) -> AsyncIterator[Connection]:
    async with open_connection(parse_url(nats_server)) as connection:
        yield connection


# --- Messages ----------------------------------------------------------------------------------------------------


async def test_messages_of_every_size_arrive_as_they_were_sent(connection: Connection) -> None:
    limit = connection.server.max_payload
    payloads = [b"", b"\r\n", b"x" * 65_535, b"y" * (limit - 1), os.urandom(limit)]
    messages = record(connection, "sizes.>")
    for number, payload in enumerate(payloads):
        connection.publish(f"sizes.{number}", payload, reply="inbox.1")
    connection.publish("sizes.h", b"z" * 1000, headers={"A": "x: y", "É": "", "a": "é"})
    await connection.flush()
    assert messages == [
        *(Incoming(f"sizes.{number}", payload, "inbox.1") for number, payload in enumerate(payloads)),
        Incoming("sizes.h", b"z" * 1000, headers={"A": "x: y", "É": "", "a": "é"}),
    ]


async def test_the_longest_line_is_taken_and_a_longer_one_never_sent(connection: Connection) -> None:
    states = States(connection)
    subject = "long." + "x" * (4096 - 64 - 5 - 5)
    messages = record(connection, subject)
    connection.publish(subject, b"", "repl")
    connection.publish(subject, b"", "repl", {"a": "b"})
    await connection.flush()
    assert len(messages) == 2
    assert states.seen == []


async def test_the_servers_own_answers_carry_a_status(connection: Connection) -> None:
    nobody = await request(connection, "nobody.listens")
    assert nobody == Incoming(nobody.subject, b"", headers={"Nats-Subject": "nobody.listens"}, status=503)


async def test_messages_keep_their_order_across_many_subscriptions(connection: Connection) -> None:
    seen: list[bytes] = []
    for number in range(1000):
        connection.subscribe(f"many.{number}", lambda message: seen.append(message.payload))
    sent = [str(number).encode() for number in range(5000)]
    for number, payload in enumerate(sent):
        connection.publish(f"many.{number % 1000}", payload)
    await connection.flush()
    assert seen == sent


async def test_subscriptions_that_come_and_go_hear_what_is_theirs(connection: Connection) -> None:
    async def use(number: int) -> None:
        for rounds in range(20):
            messages: list[Incoming] = []
            subscription = connection.subscribe("busy", messages.append)
            mine = f"{number}.{rounds}".encode()
            connection.publish("busy", mine)
            await connection.flush()
            assert mine in [message.payload for message in messages]
            subscription.unsubscribe()
            count = len(messages)
            await connection.flush()
            assert len(messages) == count

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(use, number)


# --- Servers that come and go ------------------------------------------------------------------------------------


async def test_the_connection_comes_back_with_its_subscriptions(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = States(connection)
        messages = record(connection, "kept")
        for count in (2, 4):
            await private_server.kill()
            await until(lambda: not connection.is_up)
            with pytest.raises(DisconnectedError):
                connection.publish("kept", b"lost")
            await private_server.start()
            with trio.fail_after(PATIENCE):
                await states.wait(count)
            connection.publish("kept", b"")
            await connection.flush()
        assert [message.payload for message in messages] == [b"", b""]
        assert states.seen == [False, True] * 2


async def test_what_was_posted_to_a_hanging_server_never_goes_out_later(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = States(connection)
        messages = record(connection, "a.>")
        await connection.flush()
        freeze(private_server)
        for number in range(12):
            connection.publish(f"a.{number}", b"x" * (1 << 20))
        await private_server.kill()
        with trio.fail_after(PATIENCE):
            await states.wait(1)
            await private_server.start()
            await states.wait(2)
        connection.publish("a.later", b"later")
        await connection.flush()
        assert [message.subject for message in messages] == ["a.later"]


async def test_the_block_ends_though_the_server_hangs(private_server: Server) -> None:
    with trio.fail_after(PATIENCE):
        async with open_connection(options_of(private_server)) as connection:
            freeze(private_server)
            for _ in range(12):
                connection.publish("a", b"x" * (1 << 20))
    assert not connection.is_up


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGUSR2])
async def test_a_server_that_was_told_of_takes_over(end: signal.Signals) -> None:
    async with (
        run_member("one", grace=0.2, options=NO_JETSTREAM) as (first, route),
        run_member("two", route, options=NO_JETSTREAM) as (second, _),
    ):
        # Whoever asks now is told of the other, or will be.
        async with open_connection(options_of(second)) as other, open_connection(options_of(first)) as connection:
            states = States(connection)
            messages = record(connection, "a")
            heard = record(other, "a")
            await connection.flush()
            await both_hear(connection, other, messages, heard)
            os.kill(first.pid, end)  # SIGUSR2 is lame duck mode
            with trio.fail_after(PATIENCE):
                await states.wait(2)
            assert connection.server.name == "two"
            await connection.flush()
            messages.clear()
            other.publish("a", b"over")
            await until(lambda: messages)
            assert messages == [Incoming("a", b"over")]


async def both_hear(connection: Connection, other: Connection, messages: list[Incoming], heard: list[Incoming]) -> None:
    """Return once the two servers have met, and each client knows of both."""
    with trio.fail_after(PATIENCE):
        while not (any(m.payload == b"2" for m in messages) and any(m.payload == b"1" for m in heard)):
            connection.publish("a", b"1")
            other.publish("a", b"2")
            await connection.flush()
            await other.flush()
            await trio.sleep(0.02)
