"""Vitals: carried by every heartbeat, and never in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi.rules.vitals import MAX_REASON, checked_vitals

if TYPE_CHECKING:
    from tests.library.conftest import World


class Source:
    """A host whose figures change, and may fail to come."""

    def __init__(self) -> None:
        self.vitals: Any = osapi.Vitals(uptime=1.0)
        self.error: Exception | None = None
        self.seconds = 0.0

    async def __call__(self) -> Any:
        await trio.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.vitals


async def test_they_are_there_at_once_and_renewed_with_every_heartbeat(autojump_clock: object, world: World) -> None:
    source = Source()
    async with world.client() as client, world.agent("a", status=source):
        assert client.fleet.registration("a").vitals == osapi.Vitals(uptime=1.0)
        source.vitals = osapi.Vitals(uptime=2.0, cpu_percent=3.5)
        await trio.sleep(world.settings.heartbeat + 1)
        assert client.fleet.registration("a").vitals == source.vitals


async def test_without_a_source_there_are_none(world: World) -> None:
    async with world.client() as client, world.agent("a"):
        assert client.fleet.registration("a").vitals is None


@pytest.mark.parametrize("trouble", ["late", "broken", "wrong"])
async def test_one_that_fails_costs_its_vitals_and_no_heartbeat(
    autojump_clock: object, world: World, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source()
    async with world.client() as client, world.agent("a", status=source):
        if trouble == "late":
            source.seconds = 3600.0
        elif trouble == "broken":
            source.error = ValueError("no figures")
        else:
            source.vitals = {"uptime": 2.0}
        await trio.sleep(3 * world.settings.registry_ttl)
        agent = client.fleet.registration("a")
        assert agent.heartbeat > agent.started + 2 * world.settings.registry_ttl
        assert agent.vitals == osapi.Vitals(uptime=1.0)
        assert len([record for record in caplog.records if "vitals" in record.message]) == 1
        source.seconds, source.error, source.vitals = 0.0, None, osapi.Vitals(uptime=9.0)
        await trio.sleep(2 * world.settings.heartbeat)
        assert client.fleet.registration("a").vitals == source.vitals


async def test_the_last_ones_stay_while_an_agent_drains(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", status=Source()) as agent:
        await agent.drain()
        assert client.fleet.registration("a").state == "Draining"
        assert client.fleet.registration("a").vitals == osapi.Vitals(uptime=1.0)


def _condition(name: str, reason: str = "") -> osapi.Condition:
    return osapi.Condition(type=name, status=True, since=1.0, reason=reason)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        osapi.Vitals(conditions=(_condition("two words"),)),
        osapi.Vitals(conditions=(_condition(""),)),
        osapi.Vitals(conditions=(_condition("Twice"), _condition("Twice"))),
        osapi.Vitals(conditions=tuple(_condition(f"C{number}") for number in range(33))),
    ],
)
def test_what_cannot_be_told_is_refused(wrong: object) -> None:
    with pytest.raises(osapi.InvalidSettingError):
        checked_vitals(wrong)


def test_a_long_reason_is_cut() -> None:
    (kept,) = checked_vitals(osapi.Vitals(conditions=(_condition("Long", "x" * 5000),))).conditions
    assert len(kept.reason) == MAX_REASON
    assert kept.reason.endswith("...")
