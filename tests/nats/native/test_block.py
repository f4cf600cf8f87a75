"""How a connection's block ends: in peace, with an error, or cancelled at any step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from osapi.errors import ClosedError, InvalidSubjectError
from tests.nats.connections import record
from tests.nats.native.farm import Farm, States, farm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from osapi_nats.connection import Incoming

A = "a:4222"


@pytest.fixture
async def servers() -> AsyncIterator[Farm]:
    async with farm() as servers:
        servers.add(A)
        yield servers


# --- The block ---------------------------------------------------------------------------------------------------


async def test_what_a_handler_raises_ends_the_block_and_comes_out_as_it_is(servers: Farm) -> None:
    def fail(message: Incoming) -> None:
        raise KeyError(message.subject)

    with pytest.raises(KeyError, match="faulty"):
        async with servers.connect() as connection:
            connection.subscribe("faulty", fail)
            await servers.servers[A].peer.say(b"MSG faulty 1 0\r\n\r\n")
            await trio.sleep_forever()
    await servers.servers[A].peer.left.wait()


@pytest.mark.parametrize("at", [False, True])
async def test_what_a_callback_raises_ends_the_block_and_comes_out_as_it_is(servers: Farm, at: bool) -> None:
    def fail(is_up: bool) -> None:
        if is_up is at:
            raise KeyError("faulty")

    with pytest.raises(KeyError, match="faulty"):
        async with servers.connect() as connection:
            connection.watch_state(fail)
            await servers.servers[A].peer.hang_up()
            await trio.sleep_forever()
    for peer in servers.servers[A].peers:
        await peer.left.wait()


async def test_an_error_of_the_block_comes_out_as_it_is(servers: Farm) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with servers.connect():
            raise KeyError("mine")
    await servers.servers[A].peer.left.wait()


async def test_after_the_block_nothing_goes_and_nobody_is_called(servers: Farm) -> None:
    async with servers.connect() as connection:
        states = States(connection)
        subscription = connection.subscribe("a", lambda _: None)
    assert not connection.is_up
    assert connection.server.url == f"nats://{A}"
    with pytest.raises(ClosedError):
        connection.publish("a", b"")
    with pytest.raises(ClosedError):
        connection.subscribe("a", lambda _: None)
    with pytest.raises(ClosedError):
        await connection.flush()
    subscription.unsubscribe()
    assert states.seen == []


async def test_a_subject_that_is_refused_changes_nothing(servers: Farm) -> None:
    async with servers.connect() as connection:
        before = servers.servers[A].peer.said
        with pytest.raises(InvalidSubjectError):
            connection.publish("a b", b"")
        with pytest.raises(InvalidSubjectError):
            connection.publish("a", b"", reply="b" * 5000)
        with pytest.raises(InvalidSubjectError):
            connection.subscribe("a\r\nPING", lambda _: None)
        await connection.flush()
        assert servers.servers[A].peer.said == before + b"PING\r\n"


# --- Cancellation ------------------------------------------------------------------------------------------------


class CancelAt(trio.abc.Instrument):
    """Cancels a scope before the n-th step of any task."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self._left = steps

    def before_task_step(self, task: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def scenario(servers: Farm) -> None:
    """Do a bit of everything."""
    async with servers.connect(timeout=2) as connection:
        states = States(connection)
        messages = record(connection, "a")
        connection.publish("a", b"x")
        await connection.flush()
        await servers.servers[A].peer.say(b"MSG a 1 0\r\n\r\n")
        await servers.servers[A].peer.hang_up()
        await states.wait(2)
        assert len(messages) == 1
        connection.publish("b", b"y")


async def run_cancelled(steps: int) -> bool:
    """Tell whether the scenario was cut short; whatever it opened is closed, and it ends within a second."""
    async with farm() as servers:
        servers.add(A)
        scope = trio.CancelScope()
        cancel = CancelAt(scope, steps)
        trio.lowlevel.add_instrument(cancel)
        began = trio.current_time()
        with scope:
            await scenario(servers)
        trio.lowlevel.remove_instrument(cancel)
        assert trio.current_time() - began <= 1
        for peer in servers.servers[A].peers:
            with trio.fail_after(1):
                await peer.left.wait()
        return scope.cancelled_caught


async def test_cancelled_at_any_step_it_leaves_nothing(autojump_clock: MockClock) -> None:
    assert not await run_cancelled(0)
    cut = [await run_cancelled(steps) for steps in range(1, 120)]
    assert cut[0]
    assert not cut[-1]
