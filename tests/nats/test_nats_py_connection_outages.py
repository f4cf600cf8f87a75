"""What becomes of a connection when its server ends, hangs or moves, and of what was posted meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from osapi.errors import DisconnectedError
from osapi_nats.nats_py import dial, open_connection
from osapi_nats.nats_py.servers import pause
from osapi_nats.options import Options
from osapi_nats.server import Server, ServerSettings, run_server
from tests.nats.connections import (
    PATIENCE,
    ends_soon,
    freeze,
    impostor,
    kill_unnoticed,
    no_thread_is_left,
    options_of,
    record,
    record_states,
    run_member,
    until,
)

if TYPE_CHECKING:
    from osapi_nats.connection import Connection, Incoming

BIG = b"x" * 1_000_000  # forty of these are more than all buffers on the way


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find out in a moment, not in nine seconds, that a server is silent."""
    monkeypatch.setattr(dial, "PING_INTERVAL", 0.05)


def payloads(messages: list[Incoming]) -> list[bytes]:
    return [message.payload for message in messages]


async def test_the_connection_comes_back_with_its_subscriptions(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = record_states(connection)
        messages = record(connection, "kept")
        ended = connection.subscribe("ended", messages.append)
        seen_at_once: list[bool] = []

        def publish_at_once(is_up: bool) -> None:
            assert connection.is_up == is_up
            if is_up:
                connection.publish("kept", b"at once")
            seen_at_once.append(is_up)

        connection.watch_state(publish_at_once)
        for _ in range(3):
            await private_server.kill()
            await until(lambda: not connection.is_up)
            ended.unsubscribe()
            later = record(connection, "later")
            await private_server.start()
            await until(lambda: connection.is_up)
            connection.publish("ended", b"")
            connection.publish("later", b"")
            await connection.flush()
            assert len(later) == 1
        assert states == seen_at_once == [False, True] * 3
        assert payloads(messages) == [b"at once"] * 3


async def test_without_a_connection_nothing_is_accepted(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        await private_server.kill()
        await until(lambda: not connection.is_up)
        with pytest.raises(DisconnectedError, match="is down"):
            connection.publish("a", b"")
        with pytest.raises(DisconnectedError, match="is down"):
            await connection.flush()
        assert connection.server.url == f"nats://127.0.0.1:{private_server.port}"
    assert no_thread_is_left()


async def test_what_was_posted_to_a_hanging_server_never_goes_out_later(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        messages = record(connection, "a.>")
        await connection.flush()
        freeze(private_server)
        for number in range(40):
            connection.publish(f"a.{number}", BIG)
        await private_server.kill()
        await until(lambda: not connection.is_up)
        await private_server.start()
        await until(lambda: connection.is_up)
        connection.publish("a.later", b"later")
        await connection.flush()
        assert payloads(messages) == [b"later"]


async def test_what_was_posted_before_the_break_was_noticed_never_goes_out_later(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = record_states(connection)
        messages = record(connection, "a.>")
        await connection.flush()
        kill_unnoticed(private_server)
        for number in range(100):
            connection.publish(f"a.{number}", b"lost")
        assert states == []
        await until(lambda: not connection.is_up)
        await private_server.start()
        await until(lambda: connection.is_up)
        connection.publish("a.later", b"later")
        await connection.flush()
        assert payloads(messages) == [b"later"]


async def test_a_flush_fails_when_the_connection_breaks(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        freeze(private_server)
        failures: list[str] = []

        async def flush() -> None:
            connection.publish("a", b"")
            with pytest.raises(DisconnectedError) as failure:
                await connection.flush()
            failures.append(str(failure.value))

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(flush)
                await trio.testing.wait_all_tasks_blocked(0.05)
                await private_server.kill()
        assert failures == ["the connection broke before the server had taken everything"] * 3


def test_a_silent_server_is_found_out_within_ten_seconds() -> None:
    # Each ping may be answered up to the next; the one after the last in vain is not sent any more.
    assert dial.PING_INTERVAL * (dial.PINGS_IN_VAIN + 1) <= 10


@pytest.mark.usefixtures("quick_pings")
@pytest.mark.parametrize("posted", [0, 40])
async def test_a_server_that_hangs_is_given_up(private_server: Server, posted: int) -> None:
    async with open_connection(options_of(private_server)) as connection:
        freeze(private_server)
        for _ in range(posted):
            connection.publish("a", BIG)
        await until(lambda: not connection.is_up)
        await private_server.restart()
        await until(lambda: connection.is_up)
    assert no_thread_is_left()


@pytest.mark.usefixtures("quick_pings")
async def test_an_idle_connection_stays(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = record_states(connection)
        await trio.sleep(0.5)
        await connection.flush()
        assert states == []


async def test_the_server_may_close_it_for_a_message_too_large(private_server: Server) -> None:
    async with open_connection(options_of(private_server)) as connection:
        states = record_states(connection)
        connection.publish("a", bytes(connection.server.max_payload + 1))
        await until(lambda: states == [False, True])


async def test_another_server_of_the_url_takes_over(private_server: Server) -> None:
    async with run_server(ServerSettings(port=0)) as other:
        ports = [private_server.port, other.port]
        async with open_connection(Options(servers=tuple(f"127.0.0.1:{port}" for port in ports))) as connection:
            servers = {f"nats://127.0.0.1:{server.port}": server for server in (private_server, other)}
            first = connection.server.url
            await servers.pop(first).kill()
            await until(lambda: connection.is_up and connection.server.url != first)
            assert connection.server.url in servers


async def test_a_server_that_the_first_has_told_of_takes_over() -> None:
    no_jetstream: dict[str, Any] = {"jetstream": False}
    async with (
        run_member("one", options=no_jetstream) as (first, route),
        open_connection(options_of(first)) as connection,
    ):
        assert connection.server.name == "one"
        async with run_member("two", route, options=no_jetstream):
            await until(lambda: _knows_two(connection))
            await first.kill()
            await until(lambda: connection.is_up and connection.server.name == "two")


def _knows_two(connection: Connection) -> bool:
    session: Any = getattr(connection, "_session")  # noqa: B009 - there is no other way to see what INFO told
    return len(session.told) > 1


def test_pauses_are_random_and_grow_to_two_seconds_at_most() -> None:
    assert all(pause(0) <= 0.05 for _ in range(100))
    assert len({pause(3) for _ in range(100)}) > 50
    assert min(pause(9) for _ in range(100)) > max(pause(2) for _ in range(100))
    assert all(1 <= pause(rounds) <= 2 for rounds in (8, 100, 10**9))


# --- The end of the block is never far ---------------------------------------------------------------------------


@pytest.mark.parametrize("posted", [0, 40])
async def test_the_block_ends_while_the_server_hangs(private_server: Server, posted: int) -> None:
    with ends_soon() as now:
        async with open_connection(options_of(private_server)) as connection:
            freeze(private_server)
            for _ in range(posted):
                connection.publish("a", BIG)
            now()
    assert no_thread_is_left()


@pytest.mark.parametrize("posted", [0, 1, 40])
async def test_the_block_ends_while_the_server_dies(private_server: Server, posted: int) -> None:
    with ends_soon() as now:
        async with open_connection(options_of(private_server)) as connection:
            for _ in range(posted):
                connection.publish("a", BIG)
            kill_unnoticed(private_server)
            now()
    assert no_thread_is_left()


async def test_the_block_ends_while_the_server_dies_of_hanging(private_server: Server) -> None:
    async def kill_later() -> None:
        await trio.sleep(0.2)
        await private_server.kill()

    with ends_soon() as now:
        async with trio.open_nursery() as nursery, open_connection(options_of(private_server)) as connection:
            freeze(private_server)
            for _ in range(40):
                connection.publish("a", BIG)
            nursery.start_soon(kill_later)
            now()
    assert no_thread_is_left()


async def test_the_block_ends_while_the_server_is_down(private_server: Server) -> None:
    with ends_soon() as now:
        async with open_connection(options_of(private_server)) as connection:
            await private_server.kill()
            await until(lambda: not connection.is_up)
            now()
    assert no_thread_is_left()


async def test_the_block_ends_while_it_connects_again(private_server: Server) -> None:
    async with impostor(None) as other:
        with ends_soon() as now:
            servers = (f"127.0.0.1:{private_server.port}", *other.servers)
            async with open_connection(Options(servers=servers, timeout=2)) as connection:
                await private_server.kill()
                await until(lambda: not connection.is_up)
                await trio.sleep(0.5)
                now()
    assert no_thread_is_left()
