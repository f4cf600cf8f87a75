"""The fleet: who is there and who is known and away, with what they tell of their hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

import osapi
from osapi.rules.keys import agent_key, known_key, timeline_key
from osapi.settings import facts_bucket, state_bucket
from tests.promises.conftest import until

if TYPE_CHECKING:
    from tests.promises.conftest import World

_HOT = osapi.Condition(type="HighLoad", status=True, since=5.0, reason="load 9")


async def _hot() -> osapi.Vitals:
    return osapi.Vitals(uptime=60.0, load=(9.0, 8.0, 7.0), conditions=(_HOT,))


async def test_one_that_goes_stays_known_and_comes_back_as_the_same(world: World) -> None:
    async with world.client() as client:
        async with world.agent("a", labels={"group": "web"}, facts={"arch": "arm64"}, status=_hot, machine_id="m1"):
            (there,) = await client.fleet.list()
            assert there.status == "Ready"
            assert there.registration is not None
            assert there.registration.vitals == await _hot()
            assert there.facts == {"arch": "arm64"}
            assert there == replace(await client.fleet.get("A"), timeline=())
        await until(lambda: not client.fleet.registered())
        (away,) = await client.fleet.list()
        assert (away.hostname, away.status, away.registration) == ("a", "NotReady", None)
        assert away.known is not None
        assert (away.known.labels, away.known.machine_id) == ({"group": "web"}, "m1")
        assert away == replace(await client.fleet.get("a"), timeline=())
        async with world.agent("a"):
            again = (await client.fleet.get("a")).known
        assert again is not None
        assert again.first == away.known.first
        assert again.seen > away.known.seen
        await client.fleet.forget("a")
        await until(lambda: not client.fleet.registered())
        assert await client.fleet.list() == []
        with pytest.raises(osapi.UnknownHostError):
            await client.fleet.get("a")


async def test_what_cannot_be_read_of_one_hides_no_other(world: World) -> None:
    async with world.client() as client, world.agent("a"), world.agent("b", facts={"arch": "arm64"}):
        async with world.connect() as wire:
            state, facts = (
                await wire.bucket(state_bucket(world.settings)),
                await wire.bucket(facts_bucket(world.settings)),
            )
            for host in ("a", "odd"):
                await state.put(known_key(host), b"{")
                await state.put(timeline_key(host), b"{")
                await facts.put(agent_key(host), b"{")
        await until(lambda: len(client.fleet.registered()) == 2)
        assert [(agent.hostname, agent.facts) for agent in await client.fleet.list()] == [
            ("a", {}),
            ("b", {"arch": "arm64"}),
        ]
        assert (await client.fleet.get("a")).status == "Ready"
        with pytest.raises(osapi.UnknownHostError):
            await client.fleet.get("odd")
