"""Messages, subscriptions, flushes, and the block around them."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest
import trio

from osapi.errors import ClosedError, InvalidInputError, InvalidSubjectError
from osapi_nats.connection import Incoming
from osapi_nats.nats_py import open_connection
from osapi_nats.nats_py.session import Session
from osapi_nats.urls import parse_url
from tests.nats.connections import no_thread_is_left, our_threads, record, record_states, request, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from osapi_nats.connection import Connection


@pytest.fixture
async def connection(nats_server: str) -> AsyncIterator[Connection]:
    async with open_connection(parse_url(nats_server)) as connection:
        yield connection


# --- Messages ----------------------------------------------------------------------------------------------------


async def test_it_is_up_and_knows_its_server(connection: Connection, nats_server: str) -> None:
    assert connection.is_up
    assert connection.server.url == nats_server
    assert connection.server.version.startswith("2.")
    assert connection.server.max_payload == 1 << 20
    assert connection.server.name


async def test_a_message_arrives_as_it_was_sent(connection: Connection) -> None:
    messages = record(connection, "basic.>")
    connection.publish("basic.a", b"one")
    connection.publish("basic.b", b"", reply="inbox.1")
    connection.publish(
        "basic.c", b"\x00\r\n\xff", headers={"A": "x: y", "b/c": " 2 ", "Status": "5", "É": "", "a": "é"}
    )
    await connection.flush()
    assert messages == [
        Incoming("basic.a", b"one"),
        Incoming("basic.b", b"", "inbox.1"),
        Incoming("basic.c", b"\x00\r\n\xff", headers={"A": "x: y", "b/c": " 2 ", "Status": "5", "É": "", "a": "é"}),
    ]


async def test_the_servers_own_answers_carry_a_status(connection: Connection) -> None:
    nobody = await request(connection, "nobody.listens")
    assert (nobody.status, nobody.description, nobody.headers) == (503, "", {"Nats-Subject": "nobody.listens"})
    await request(connection, "$JS.API.STREAM.CREATE.status", b'{"name":"status","storage":"memory"}')
    consumer = b'{"stream_name":"status","config":{"name":"c","ack_policy":"none","mem_storage":true}}'
    await request(connection, "$JS.API.CONSUMER.CREATE.status.c", consumer)
    none = await request(connection, "$JS.API.CONSUMER.MSG.NEXT.status.c", b'{"batch":1,"no_wait":true}')
    assert (none.status, none.description, none.headers) == (404, "No Messages", {})
    late = await request(connection, "$JS.API.CONSUMER.MSG.NEXT.status.c", b'{"batch":3,"expires":1000000}')
    assert (late.status, late.description) == (408, "Request Timeout")
    assert late.headers == {"Nats-Pending-Messages": "3", "Nats-Pending-Bytes": "0"}
    await request(connection, "$JS.API.STREAM.DELETE.status")


async def test_messages_keep_their_order_across_subscriptions(connection: Connection) -> None:
    seen: list[bytes] = []
    for token in "abc":
        connection.subscribe(f"order.{token}", lambda message: seen.append(message.payload))
    sent = [str(number).encode() for number in range(3000)]
    for number, payload in enumerate(sent):
        connection.publish(f"order.{'abc'[number % 3]}", payload)
    await connection.flush()
    assert seen == sent


async def test_a_flush_comes_after_what_was_published_before_it(connection: Connection) -> None:
    payload = b"x" * 100_000  # more than a socket takes at once
    for rounds in range(1, 6):
        messages = record(connection, f"flush.{rounds}")
        for _ in range(50):
            connection.publish(f"flush.{rounds}", payload)
        await connection.flush()
        assert len(messages) == 50


async def test_many_flushes_at_once(connection: Connection) -> None:
    messages = record(connection, "flushes")
    sent = count(1)

    async def one() -> None:
        connection.publish("flushes", b"")
        mine = next(sent)
        await connection.flush()
        assert len(messages) >= mine

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert len(messages) == 20


async def test_a_cancelled_flush_harms_nobody(connection: Connection) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await connection.flush()
    assert scope.cancelled_caught
    messages = record(connection, "cancelled")
    connection.publish("cancelled", b"")
    await connection.flush()
    assert len(messages) == 1


async def test_after_unsubscribe_not_even_what_was_under_way_arrives(connection: Connection) -> None:
    seen: list[bytes] = []

    def once(message: Incoming) -> None:
        seen.append(message.payload)
        subscription.unsubscribe()

    subscription = connection.subscribe("once", once)
    for _ in range(100):
        connection.publish("once", b"")
    await connection.flush()
    assert seen == [b""]
    subscription.unsubscribe()
    again = record(connection, "once")
    connection.publish("once", b"")
    await connection.flush()
    assert len(again) == 1
    assert seen == [b""]


async def test_subscriptions_made_in_a_handler_see_what_it_publishes(connection: Connection) -> None:
    messages: list[Incoming] = []

    def answer(message: Incoming) -> None:
        connection.subscribe("nested.reply", messages.append)
        connection.publish("nested.reply", message.payload)

    connection.subscribe("nested", answer)
    connection.publish("nested", b"hello")
    await until(lambda: messages)
    assert messages == [Incoming("nested.reply", b"hello")]


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0\r\n", "a\t", "a\x00"])
async def test_no_subject_can_be_another_command(connection: Connection, subject: str) -> None:
    with pytest.raises(InvalidSubjectError, match="is empty or has a blank"):
        connection.publish(subject, b"")
    with pytest.raises(InvalidSubjectError, match="is empty or has a blank"):
        connection.subscribe(subject, lambda _: None)
    if subject:
        with pytest.raises(InvalidSubjectError, match="is empty or has a blank"):
            connection.publish("a", b"", reply=subject)


@pytest.mark.parametrize("headers", [{"": "x"}, {"a b": "x"}, {"a:b": "x"}, {"a": "x\r\nb: y"}, {"a\n": "x"}])
async def test_no_header_can_be_another_one(connection: Connection, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="is not a header"):
        connection.publish("a", b"", headers=headers)


async def test_a_subject_that_is_not_text_harms_nobody(connection: Connection, nats_server: str) -> None:
    messages = record(connection, "bytes.*")
    await connection.flush()
    port = int(nats_server.rpartition(":")[2])
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b'CONNECT {"verbose":false}\r\nPUB bytes.\xff 0\r\n\r\nPUB bytes.a 0\r\n\r\n')
        await until(lambda: len(messages) == 2)
    assert [message.subject for message in messages] == ["bytes.\ufffd", "bytes.a"]


# --- The block ---------------------------------------------------------------------------------------------------


async def test_its_thread_ends_with_the_block_and_is_none_of_the_programs(nats_server: str) -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    async with open_connection(parse_url(nats_server)):
        assert "osapi-nats" in our_threads()
        assert limiter.borrowed_tokens == 0
    assert no_thread_is_left()


async def test_names_are_looked_up_and_that_thread_ends_too(nats_server: str) -> None:
    options = parse_url(nats_server.replace("127.0.0.1", "localhost"))
    async with open_connection(options) as connection:
        assert connection.is_up
    assert no_thread_is_left()


async def test_what_was_posted_is_sent_before_the_block_ends(nats_server: str, connection: Connection) -> None:
    messages = record(connection, "farewell")
    await connection.flush()
    async with open_connection(parse_url(nats_server)) as other:
        for _ in range(1000):
            other.publish("farewell", b"x" * 1000)
    await until(lambda: len(messages) == 1000)


async def test_after_the_block_nothing_goes(nats_server: str) -> None:
    async with open_connection(parse_url(nats_server)) as connection:
        states = record_states(connection)
        subscription = connection.subscribe("a", lambda _: None)
    assert not connection.is_up
    with pytest.raises(ClosedError, match="block has ended"):
        connection.publish("a", b"")
    with pytest.raises(ClosedError, match="block has ended"):
        connection.subscribe("a", lambda _: None)
    with pytest.raises(ClosedError, match="block has ended"):
        await connection.flush()
    subscription.unsubscribe()
    assert states == []


async def test_an_error_of_the_block_comes_out_as_it_is(nats_server: str) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_connection(parse_url(nats_server)):
            raise KeyError("mine")


async def test_an_error_of_a_handler_ends_the_block(nats_server: str) -> None:
    def fail(message: Incoming) -> None:
        raise KeyError(message.subject)

    with trio.fail_after(10), pytest.raises(KeyError, match="faulty"):
        async with open_connection(parse_url(nats_server)) as connection:
            connection.subscribe("faulty", fail)
            connection.publish("faulty", b"")
            await trio.sleep_forever()
    assert no_thread_is_left()


async def test_an_error_in_the_thread_ends_the_block(nats_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Session.run

    async def fail(session: Session) -> None:
        async with asyncio.timeout(0.1):
            with pytest.raises(asyncio.CancelledError):
                await run(session)
            raise KeyError("crash")

    monkeypatch.setattr(Session, "run", fail)
    opened: list[Connection] = []
    with trio.fail_after(10), pytest.raises(KeyError, match="crash"):
        async with open_connection(parse_url(nats_server)) as connection:
            opened.append(connection)
            await trio.sleep_forever()
    with pytest.raises(ClosedError):
        opened[0].publish("a", b"")
    assert no_thread_is_left()
