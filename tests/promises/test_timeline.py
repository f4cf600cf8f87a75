"""What became of an agent is told by itself, survives its restarts, and is nobody else's to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import osapi
from osapi.rules.codec import TIMELINE
from osapi.rules.keys import timeline_key
from osapi.rules.records import VERSION
from osapi.rules.timeline import Moment, Timeline
from osapi.settings import state_bucket
from tests.promises.conftest import PATIENCE, until
from tests.promises.signed import KEYS, attack, keys_of

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def events(client: osapi.Client, host: str, *last: str) -> list[str]:
    """Wait until these are the last events of an agent, and return all of them."""
    with trio.fail_after(PATIENCE):
        while True:
            found = [moment.event for moment in (await client.fleet.get(host)).timeline]
            if tuple(found[len(found) - len(last) :]) == last:
                return found
            await trio.sleep(0.02)


async def test_it_tells_of_orders_and_conditions_over_restarts(world: World) -> None:
    hot = osapi.Condition(type="HighLoad", status=True, since=1.0, reason="load 9")
    vitals = osapi.Vitals(conditions=(hot,))

    async def status() -> osapi.Vitals:
        return vitals

    async with world.client() as client:
        async with world.agent("a", status=status):
            assert await events(client, "a", "condition_on") == ["registered", "condition_on"]
            vitals = osapi.Vitals()
            await events(client, "a", "condition_off")
            await client.fleet.drain("a", by="alice", reason="repair")
            await events(client, "a", "drained", "cordoned")
            await client.fleet.undrain("a")
            await events(client, "a", "undrained")
        first = await events(client, "a", "stopped")
        async with world.agent("a", status=status):
            again = await events(client, "a", "registered")
    assert again == [*first, "registered"]
    assert first == ["registered", "condition_on", "condition_off", "drained", "cordoned", "undrained", "stopped"]
    async with world.client() as client:
        told = (await client.fleet.get("a")).timeline
        assert told[1].message == "HighLoad: load 9"
        assert told[3].message == "by alice: repair"
        assert [moment.at for moment in told] == sorted(moment.at for moment in told)
        assert [agent.timeline for agent in await client.fleet.list()] == [()]
        await client.fleet.forget("a")
        async with world.agent("a"):
            assert await events(client, "a", "registered") == ["registered"]


async def test_nobody_else_can_tell_it(world: World) -> None:
    async with world.client(**KEYS) as client, attack(world) as attacker:
        async with world.agent("a", **keys_of("a")):
            await events(client, "a", "registered")
        assert await events(client, "a", "stopped") == ["registered", "stopped"]
        forged = Timeline(v=VERSION, hostname="a", moments=(Moment(at=1.0, event="registered", message="all is well"),))
        bucket = await attacker.transport.bucket(state_bucket(world.settings))
        await bucket.put(timeline_key("a"), TIMELINE.encode(forged))
        assert (await client.fleet.get("a")).timeline == ()


async def test_what_cannot_be_read_is_begun_anew(world: World) -> None:
    async with world.client() as client, world.connect() as wire:
        await (await wire.bucket(state_bucket(world.settings))).put(timeline_key("a"), b"{")
        async with world.agent("a"):
            await until(lambda: bool(client.fleet.registered()))
            assert await events(client, "a", "registered") == ["registered"]
