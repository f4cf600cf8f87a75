"""The roster: what is in the registry that is not an agent's does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.settings import registry_bucket

if TYPE_CHECKING:
    import pytest

    from tests.library.conftest import World


async def test_foreign_entries_are_ignored(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.broker.connect() as wire, world.client() as client, world.agent("a"):
        registry = await wire.bucket(registry_bucket(world.settings))
        await registry.put("b", b"{}")
        await registry.put("NOT/OURS", b"x")
        await registry.delete("NOT/OURS")
        await trio.sleep(1)
        assert [agent.hostname for agent in client.fleet.registered()] == ["a"]
        assert caplog.text.count("an entry of the registry is ignored") == 3
