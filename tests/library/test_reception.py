"""An agent may be closed to jobs while it is still being opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from osapi.flow.receive import Reception
from osapi.flow.store import open_store
from osapi.rules.codec import REGISTRATION
from osapi.rules.keys import agent_key
from osapi.rules.records import VERSION, Registration

if TYPE_CHECKING:
    from osapi.transport import Transport
    from tests.library.conftest import World


@pytest.mark.parametrize("pause", range(0, 24, 2))
async def test_closed_while_it_opens_it_is_closed_and_may_be_opened_again(
    world: World, transport: Transport, pause: int
) -> None:
    store = await open_store(transport, world.settings)
    taken: list[Any] = []
    reception = Reception("a", {}, 1, taken.append, lambda: None, lambda: 0)
    async with trio.open_nursery() as nursery:
        reception.place(store, nursery)
        async with trio.open_nursery() as opening:
            opening.start_soon(reception.open)
            for _ in range(pause):
                await trio.lowlevel.checkpoint()
            await reception.close()
        await reception.close()
        states = [reception.is_open]
        await reception.open()
        states.append(reception.is_open)
        await reception.close()
        assert states == [False, True]
        nursery.cancel_scope.cancel()
    assert taken == []


async def test_who_does_not_know_yet_that_it_is_accepted_is_not_on_the_roster(world: World) -> None:
    async with world.client() as client, world.broker.connect() as transport:
        store = await open_store(transport, world.settings)
        came = Registration(
            v=VERSION, hostname="a", session="s", labels={}, operations={}, started=1.0, heartbeat=1.0, max_jobs=1
        )
        for state, there in (("Ready", 1), ("Pending", 0), ("Ready", 1)):
            registered = replace(came, state=state)
            await store.registry.put(agent_key("a"), REGISTRATION.encode(registered))
            await trio.testing.wait_all_tasks_blocked()
            assert len(client.fleet.registered()) == there
