"""`_any@label`: one of the agents with a label gets the job, through a consumer that they share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

from osapi import SlotStatus
from osapi.flow.groups import Groups
from osapi.flow.store import open_store
from osapi.rules.keys import group_filter, group_notice_subject, notification_subject
from osapi.settings import group_consumer, own_consumer, stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from osapi.flow.inlet import Inlet
    from osapi.transport import ConsumerConfig
    from tests.library.conftest import World


async def consumers(world: World) -> dict[str, int]:
    """Return the names of all consumers with the number of their waiting requests."""
    async with world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        return {info.config.name: info.waiting for info in await stream.consumers()}


async def test_one_of_a_group_is_one_of_those_with_the_label(autojump_clock: object, world: World) -> None:
    async with (
        world.agent("a", "web.dev"),
        world.agent("b", "web.prod"),
        world.agent("c", "db"),
        world.agent("d"),
        world.client() as client,
    ):
        handles = [await client.submit("test.hostname.get", target="_any@group:web") for _ in range(40)]
        ran = Counter([host for handle in handles for host in await handle.result()])
        assert all(handle.expected is None for handle in handles)
        narrow = await client.submit("test.hostname.get", target="_any@group:web.prod")
        assert list(await narrow.result()) == ["b"]
        assert (await client.get(narrow.id)).records.keys() == {"_any"}
    assert ran.total() == 40
    assert ran.keys() == {"a", "b"}
    assert all(sum(ops.started[handle.id, host] for host in "abcd") == 1 for handle in handles)


async def test_a_group_has_a_consumer_only_once_somebody_uses_it(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web.dev"), world.agent("b", "web.prod"), world.client() as client:
        await trio.sleep(1)
        assert (await consumers(world)).keys() == {"any", "agent-a", "agent-b"}
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        await trio.sleep(1)
        shared = {"any", "agent-a", "agent-b", "any-group=3Aweb"}
        assert (await consumers(world)).keys() == shared
        for _ in range(3):
            await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        async with world.client() as other:
            await (await other.submit("test.hostname.get", target="_any@group:web")).result()
            assert (await consumers(world)).keys() == shared
            await (await other.submit("test.hostname.get", target="_any@group:web.prod")).result()
        assert (await consumers(world)).keys() == shared | {"any-group=3Aweb=2Eprod"}


async def test_all_agents_of_a_group_wait_at_its_consumer(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web", max_jobs=3), world.agent("b", "web.dev"), world.client() as client:
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        await trio.sleep(1)
        assert (await consumers(world))["any-group=3Aweb"] == 2


async def test_the_agents_are_told_once_for_each_half_of_a_lifetime(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web"), world.client() as one, world.client() as other:
        for client in (one, other, one):
            await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        assert await notices(world) == 1
        await trio.sleep(world.settings.job_ttl * 0.6)
        for client in (one, other, one):
            await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        assert await notices(world) == 2


async def notices(world: World) -> int:
    """Return how many notices the stream holds."""
    async with world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        last = (await stream.info()).last_sequence
        kept = [await stream.get(sequence) for sequence in range(1, last + 1)]
        return sum(message is not None and message.subject.startswith("jobs.group.") for message in kept)


async def test_an_agent_that_joins_later_takes_part(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web"), world.client() as client:
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        async with world.agent("b", "web"):
            await trio.sleep(1)
            handles = [await client.submit("test.sleep", ops.Sleep(5.0), target="_any@group:web") for _ in range(20)]
            ran = Counter([host for handle in handles for host in await handle.result()])
    assert ran == {"a": 10, "b": 10}


async def test_a_job_waits_for_the_first_agent_of_its_group(autojump_clock: object, world: World) -> None:
    async with world.agent("c", "db"), world.client() as client:
        handle = await client.submit("test.hostname.get", target="_any@group:web")
        await trio.sleep(60)
        assert handle.status() == "submitted"
        async with world.agent("a", "web.dev"):
            assert list(await handle.result()) == ["a"]


async def test_a_job_outlives_the_notice_before_it(autojump_clock: object, world: World) -> None:
    ttl = world.settings.job_ttl
    async with world.client() as client:
        await client.submit("test.hostname.get", target="_any@group:web")
        await trio.sleep(ttl * 0.45)
        handle = await client.submit("test.hostname.get", target="_any@group:web", within=ttl)
        await trio.sleep(ttl * 0.6)
        assert await notices(world) == 0
        async with world.agent("a", "web"):
            assert list(await handle.result()) == ["a"]


async def test_an_agent_that_joins_later_finds_the_notice_when_the_jobs_are_gone(
    autojump_clock: object, world: World
) -> None:
    async with world.client() as client:
        async with world.agent("a", "web"):
            handle = await client.submit("test.hostname.get", target="_any@group:web")
            await handle.result()
        await client.delete(handle.id)
        async with world.agent("b", "web"):
            await trio.sleep(1)
            handle = await client.submit("test.hostname.get", target="_any@group:web")
            assert list(await handle.result()) == ["b"]
        assert await notices(world) == 1


async def test_an_agent_that_joins_later_leaves_alone_what_nobody_uses(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        await client.submit("test.hostname.get", target="_any@group:web")
        async with world.agent("a", "web.dev.eu"):
            await trio.sleep(1)
            assert (await consumers(world)).keys() == {"any", "agent-a", "any-group=3Aweb"}


async def test_notices_cost_an_agent_none_of_its_requests(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web", max_jobs=1), world.client() as client, world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        for _ in range(3):
            await stream.publish(group_notice_subject("group:web"), b"")
            await trio.sleep(1)
        handle = await client.submit("test.hostname.get", target="a")
        assert (await handle.result())["a"].status is SlotStatus.COMPLETED


async def test_groups_that_are_closed_are_joined_no_more(autojump_clock: object, world: World) -> None:
    async def take_in(inlet: Inlet, config: ConsumerConfig, _: None) -> None:
        await trio.sleep_forever()

    async with world.broker.connect() as wire, trio.open_nursery() as nursery:
        store = await open_store(wire, world.settings)
        groups = Groups(["group:web", "group:web.dev"], take_in)
        groups.open(store, nursery)
        consumer = await store.stream.consumer(own_consumer(world.settings, "a", ("jobs.group.>",)))
        async with consumer.pull() as pull:
            pull.request(3)
            for label in ("group:web", "group:web.dev", "group:db"):
                await store.stream.publish(group_notice_subject(label), b"")
            await trio.sleep(1)
            heard = await pull.receive()
            assert groups.hear(heard[0])
            (inlet,) = groups.inlets
            groups.close()
            assert groups.hear(heard[1])
            assert not groups.hear(heard[2])
            assert list(groups.inlets) == [inlet]
            await inlet.closed.wait()


async def test_an_agent_hears_of_a_group_after_it_was_away(autojump_clock: object, world: World) -> None:
    async with world.mortal("a", labels={"group": "web"}) as mortal, world.client() as client:
        mortal.transport.disconnect()
        handle = await client.submit("test.hostname.get", target="_any@group:web")
        await trio.sleep(5)
        assert not handle.done
        mortal.transport.reconnect()
        assert list(await handle.result()) == ["a"]


async def test_a_sibling_takes_over_after_ack_wait(autojump_clock: object, world: World) -> None:
    async with world.mortal("a", labels={"group": "web"}) as mortal, world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(8.0), target="_any@group:web")
        await trio.sleep(2)
        assert ops.started[handle.id, "a"] == 1
        async with world.agent("b", "web.dev"), world.agent("c", "db"):
            mortal.kill()
            ((host, answer),) = (await handle.result()).items()
    assert (host, answer.status, answer.attempts) == ("b", SlotStatus.COMPLETED, 2)


async def test_a_retry_stays_in_the_group(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web"), world.agent("b", "db"), world.client() as client:
        handle = await client.submit("test.flaky", ops.Flaky(failures=3), target="_any@group:web", within=3000.0)
        ((host, answer),) = (await handle.result()).items()
        assert (host, answer.status, answer.attempts) == ("a", SlotStatus.COMPLETED, 4)
        again = await client.retry(handle.id)
        assert again.definition.target == "_any@group:web"
        assert list(await again.result()) == ["a"]


async def test_an_agent_without_the_label_never_answers(autojump_clock: object, world: World) -> None:
    async with world.agent("b", "db"), world.client() as client:
        handle = await client.submit("test.hostname.get", target="_any@group:web", within=20.0)
        async with world.broker.connect() as wire:
            stream = await wire.stream(stream_config(world.settings))
            await stream.publish(notification_subject("query", "any", "", handle.id), b"")
            await stream.publish(notification_subject("query", "host", "b", handle.id), b"")
        assert (await handle.result())["_any"].status is SlotStatus.EXPIRED
    assert ops.started[handle.id, "b"] == 0


async def test_one_busy_group_does_not_starve_the_others(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web.dev", max_jobs=2), world.client() as client:
        for target in ("_any@group:web", "_any@group:web.dev"):
            await (await client.submit("test.hostname.get", target=target)).result()
        await trio.sleep(1)
        # Both groups, `any` and the agent's own consumer have requests waiting; only one of them is used now.
        for target in ("_any@group:web", "_any@group:web.dev", "_any", "a"):
            start = trio.current_time()
            handles = [await client.submit("test.sleep", ops.Sleep(10.0), target=target) for _ in range(6)]
            for handle in handles:
                await handle.result()
            assert trio.current_time() - start == pytest.approx(30.0, abs=1.0), target


async def test_slots_are_shared_among_all_that_an_agent_listens_to(autojump_clock: object, world: World) -> None:
    targets = ("_any@group:web", "_any@group:web.dev", "_any", "a", "_all")
    running: Counter[float] = Counter()
    async with world.agent("a", "web.dev", max_jobs=2) as agent, world.client() as client:
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        handles = [
            await client.submit("test.sleep", ops.Sleep(10.0), target=target) for target in targets for _ in range(4)
        ]
        while not all(handle.done for handle in handles):
            running[agent.active] += 1
            await trio.sleep(3)
        answers = [answer for handle in handles for answer in (await handle.result()).values()]
    assert [answer.status for answer in answers] == [SlotStatus.COMPLETED] * 20
    assert max(running) <= 2 + 1, "a job that is being refused counts for a moment"
    assert running[2] > 20


async def test_what_a_group_delivered_is_given_back_by_an_agent_that_leaves(
    autojump_clock: object, world: World
) -> None:
    async with world.client() as client:
        async with world.agent("a", "web"):
            handle = await client.submit("test.sleep", ops.Sleep(100.0), target="_any@group:web")
            await trio.sleep(1)
            assert ops.started[handle.id, "a"] == 1
        async with world.agent("b", "web"):
            ((host, answer),) = (await handle.result()).items()
        assert (host, answer.attempts) == ("b", 2)
        await trio.sleep(1)
        assert (await consumers(world))["any-group=3Aweb"] == 0


async def test_a_drained_agent_takes_no_more_from_its_groups(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.agent("a", "web") as agent:
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        start = trio.current_time()
        await agent.drain()
        assert trio.current_time() - start < 1
        handle = await client.submit("test.hostname.get", target="_any@group:web.dev", within=30.0)
        again = await client.submit("test.hostname.get", target="_any@group:web", within=30.0)
        assert [list(await one.result()) for one in (handle, again)] == [["_any"], ["_any"]]


async def test_a_groups_consumer_that_somebody_removes_is_made_anew(autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web"), world.client() as client, world.broker.connect() as wire:
        await (await client.submit("test.hostname.get", target="_any@group:web")).result()
        stream = await wire.stream(stream_config(world.settings))
        assert await stream.delete_consumer("any-group=3Aweb")
        handle = await client.submit("test.hostname.get", target="_any@group:web")
        assert list(await handle.result()) == ["a"]
    assert ops.started[handle.id, "a"] == 1


async def test_a_group_that_cannot_be_served_harms_nothing_else(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.broker.connect() as wire, world.agent("a", "web"), world.client() as client:
        stream = await wire.stream(stream_config(world.settings))
        config = group_consumer(world.settings, "any-group=3Aweb", group_filter("group:web"))
        await stream.consumer(replace(config, max_waiting=7))
        handle = await client.submit("test.hostname.get", target="_any@group:web", within=200.0)
        other = await client.submit("test.hostname.get", target="group:web")
        assert (await other.result())["a"].status is SlotStatus.COMPLETED
        await trio.sleep(30)
        assert "jobs for one of group:web cannot be received yet" in caplog.text
        assert not handle.done
        await stream.delete_consumer("any-group=3Aweb")
        assert list(await handle.result()) == ["a"]


async def test_labels_of_any_length_have_groups(autojump_clock: object, world: World) -> None:
    value = "V" * 150
    async with world.agent("a", labels={"KEY": value}), world.client() as client:
        handle = await client.submit("test.hostname.get", target=f"_any@KEY:{value}")
        assert list(await handle.result()) == ["a"]
