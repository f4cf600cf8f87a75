"""Facts: told by agents, followed by clients that select by them, and put into the data of jobs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio

import osapi
from osapi import SlotStatus
from osapi.roster import Roster
from osapi.rules.codec import FACTS, REGISTRATION
from osapi.rules.records import Facts, Registration
from osapi.rules.targets import parse_target
from osapi.settings import facts_bucket
from osapi.transport import Entry
from osapi_memory.key_value import MemoryKeyValue
from tests.library import operations as ops

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.library.conftest import World


class Source:
    """Facts that change, and may fail to come."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.calls = 0
        self.error: Exception | None = None
        self.seconds = 0.0

    async def __call__(self) -> dict[str, Any]:
        self.calls += 1
        await trio.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.facts


async def stored(world: World, host: str) -> Entry | None:
    async with world.broker.connect() as wire:
        return await (await wire.bucket(facts_bucket(world.settings))).get(host)


async def test_facts_are_told_before_the_agent_is_ready_and_kept_alive(autojump_clock: object, world: World) -> None:
    async with world.agent("a", facts={"rack": {"row": 4}}) as agent:
        assert agent.facts == {"rack": {"row": 4}}
        first = await stored(world, "a")
        assert first is not None
        assert FACTS.decode(first.value).facts == {"rack": {"row": 4}}
        await trio.sleep(world.settings.facts_interval + 1)
        second = await stored(world, "a")
        assert second is not None
        assert second.created - first.created == pytest.approx(60, abs=1)
        await trio.sleep(world.settings.facts_ttl * 2)
        assert await stored(world, "a") is not None
    await trio.sleep(world.settings.facts_ttl + 1)
    assert await stored(world, "a") is None


async def test_facts_are_collected_anew_each_time(autojump_clock: object, world: World) -> None:
    source = Source(load=1)
    async with world.agent("a", facts=source) as agent, world.client() as client:
        assert (agent.facts, source.calls) == ({"load": 1}, 1)
        source.facts = {"load": 2}
        await agent.tell_facts()
        assert (await client.submit("test.hostname.get", target="fact.load:2")).expected == ("a",)
        source.facts = {"load": 3}
        await trio.sleep(world.settings.facts_interval + 1)
        assert (await client.submit("test.hostname.get", target="fact.load:3")).expected == ("a",)
        with pytest.raises(osapi.NoAgentsError, match="none has fact.load:2"):
            await client.submit("test.hostname.get", target="fact.load:2")
        assert source.calls == 3


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"error": OSError("no such device")}, "the facts of a could not be collected"),
        ({"facts": {"a b": 1}}, "the facts of a are refused: setting 'a b': is no name of a fact"),
        ({"facts": None}, "the facts of a are refused: setting None"),
        ({"seconds": 1e9}, "the facts of a were not collected within 60 s"),
    ],
)
async def test_what_cannot_be_collected_stays_as_it_was(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture, trouble: dict[str, Any], told: str
) -> None:
    source = Source(load=1)
    async with world.agent("a", facts=source) as agent, world.client() as client:
        vars(source).update(trouble)
        await trio.sleep(world.settings.facts_ttl * 2)
        assert agent.facts == {"load": 1}
        assert (await client.submit("test.hostname.get", target="fact.load:1")).expected == ("a",)
        assert told in caplog.text
        vars(source).update(vars(Source(load=2)))
        await agent.tell_facts()
        assert agent.facts == {"load": 2}


async def test_an_agent_starts_without_the_facts_that_fail(autojump_clock: object, world: World) -> None:
    source = Source()
    source.error = ValueError("broken")
    async with world.agent("a", facts=source) as agent, world.client() as client:
        assert agent.facts == {}
        assert list(await (await client.submit("test.hostname.get", target="a")).result()) == ["a"]


@pytest.mark.parametrize("facts", [{"a b": 1}, {"a": object()}, ["a"], 5])
async def test_wrong_facts_are_refused_when_the_agent_is_made(world: World, facts: Any) -> None:
    async with world.broker.connect() as transport:
        with pytest.raises(osapi.InvalidSettingError):
            osapi.Agent(transport, ops.operations, hostname="a", facts=facts)


async def test_telling_facts_survives_an_outage(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.mortal("a", facts=Source(load=1)) as mortal, world.client() as client:
        mortal.transport.disconnect()
        await trio.sleep(world.settings.facts_ttl * 2)
        assert await stored(world, "a") is None
        assert "the facts of a did not get through" in caplog.text
        mortal.transport.reconnect()
        await trio.sleep(world.settings.facts_interval * 2)
        assert (await client.submit("test.hostname.get", target="fact.load:1")).expected == ("a",)


async def test_an_agent_without_facts_tells_none(autojump_clock: object, world: World) -> None:
    async with world.agent("a") as agent:
        await agent.tell_facts()
        assert agent.facts == {}
        assert await stored(world, "a") is None


# --- Following them ----------------------------------------------------------------------------------------


async def test_a_client_follows_facts_from_its_first_selector_by_them(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    watch = MemoryKeyValue.watch

    def watched(bucket: MemoryKeyValue, *patterns: str, **options: Any) -> Any:
        opened.append(bucket.config.name)
        return watch(bucket, *patterns, **options)

    monkeypatch.setattr(MemoryKeyValue, "watch", watched)
    async with world.agent("a", "web", facts={"x": 1}), world.client() as client:
        for target in ("_all", "group:web", "group:web,host:a", "_any@group:web"):
            await client.submit("test.hostname.get", target=target)
        assert world.settings.facts_bucket not in opened
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(partial(client.submit, "test.hostname.get", target="fact.x:1"))
        await client.submit("test.hostname.get", target="fact.x:1,group:web")
    assert opened.count(world.settings.facts_bucket) == 1


async def test_facts_come_and_go(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", facts={"x": 1}):
        assert (await client.submit("test.hostname.get", target="fact.x:1")).expected == ("a",)
        async with world.agent("b", facts={"x": 1}):
            assert (await client.submit("test.hostname.get", target="fact.x:1")).expected == ("a", "b")
        assert (await client.submit("test.hostname.get", target="fact.x:1")).expected == ("a",)


async def test_foreign_facts_are_ignored(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.broker.connect() as wire, world.agent("a", facts={"x": 1}), world.client() as client:
        bucket = await wire.bucket(facts_bucket(world.settings))
        await bucket.put("b", b"{}")
        await bucket.put("c", b'{"v":1,"hostname":"c","updated":1.0,"facts":{"a b":1}}')
        await bucket.put("d", b'{"v":1,"hostname":"d","updated":1.0,"facts":' + b'{"a":' * 20 + b"1" + b"}" * 21)
        await bucket.put("NOT/OURS", b"x")
        await bucket.delete("NOT/OURS")
        assert (await client.submit("test.hostname.get", target="fact.x:1")).expected == ("a",)
        assert caplog.text.count("is ignored") == 4


class Heard:
    """A watch that has heard of something which nobody has read yet."""

    caught_up = True

    def __init__(self, *entries: Entry) -> None:
        self.entries = list(entries)

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[Heard]:
        yield self

    async def receive(self) -> NoReturn:
        await trio.sleep_forever()

    def receive_nowait(self) -> list[Entry]:
        heard, self.entries = self.entries, []
        return heard


async def test_what_has_arrived_counts_at_once(autojump_clock: object) -> None:
    agent = Registration(
        v=1, hostname="a", session="s", labels={}, operations={}, started=0.0, heartbeat=0.0, max_jobs=1
    )
    told = Facts(v=1, hostname="a", updated=0.0, facts={"x": 1})
    roster = Roster(Heard(Entry("a", REGISTRATION.encode(agent), 1, 0.0)))
    facts = Heard(Entry("a", FACTS.encode(told), 1, 0.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.follow_facts, facts)
        assert roster.freeze(parse_target("fact.x:1")) == ("a",)
        nursery.cancel_scope.cancel()


async def test_a_selector_by_facts_waits_for_the_broker(autojump_clock: object, world: World) -> None:
    async with (
        world.agent("a", facts={"x": 1}),
        world.broker.connect() as transport,
        osapi.Client(transport, ops.operations, settings=world.settings) as client,
        trio.open_nursery() as nursery,
    ):
        transport.disconnect()
        with pytest.raises(osapi.DisconnectedError):
            await client.submit("test.hostname.get", target="fact.x:1")
        nursery.start_soon(later, 5.0, transport.reconnect)
        assert (await client.submit("test.hostname.get", target="fact.x:1")).expected == ("a",)


async def later(seconds: float, call: Any) -> None:
    await trio.sleep(seconds)
    call()


# --- In the data of jobs -----------------------------------------------------------------------------------


async def test_each_agent_gets_its_own_facts(autojump_clock: object, world: World) -> None:
    async with (
        world.agent("a", facts={"interface": {"primary": "eth0"}}),
        world.agent("b", facts={"interface": {"primary": "wlan0"}}),
        world.client() as client,
    ):
        data = {"run": ["ip", "link", "show", "@fact.interface.primary"], "say": "@@fact.interface.primary", "n": 1.50}
        handle = await client.submit("test.echo", data, target="_all")
        answers = {host: answer.unwrap() for host, answer in (await handle.result()).items()}
        assert answers == {
            host: {"run": ["ip", "link", "show", name], "say": "@fact.interface.primary", "n": 1.5}
            for host, name in (("a", "eth0"), ("b", "wlan0"))
        }
        stored = (await client.get(handle.id)).definition.data
        assert b"eth0" not in bytes(stored)
        assert bytes(stored) == bytes(handle.definition.data)


async def test_a_job_that_refers_to_an_unknown_fact_fails_and_says_so(autojump_clock: object, world: World) -> None:
    async with world.agent("a", facts={"interface": {"primary": "eth0"}}), world.agent("b"), world.client() as client:
        handle = await client.submit("test.length", "@fact.interface.primery", target="_all")
        answers = await handle.result()
    assert {answer.status for answer in answers.values()} == {SlotStatus.FAILED}
    told = "payload of 'test.length': refers to the fact 'interface.primery', which this host lacks; "
    assert answers["a"].error == f"{told}did you mean interface.primary?"
    assert answers["b"].error == f"{told}it has none"


async def test_the_data_is_read_after_the_facts_are_in_it(autojump_clock: object, world: World) -> None:
    async with world.agent("a", facts={"x": "12345"}), world.client() as client:
        handle = await client.submit("test.length", "@fact.x", target="a")
        assert (await handle.result())["a"].unwrap() == 5


async def test_the_newest_facts_count(autojump_clock: object, world: World) -> None:
    source = Source(x="old")
    async with world.agent("a", facts=source) as agent, world.client() as client:
        source.facts = {"x": "newest"}
        await agent.tell_facts()
        assert (await (await client.submit("test.length", "@fact.x", target="a")).result())["a"].unwrap() == 6
