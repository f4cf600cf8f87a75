"""What happens in a cluster whose leaders are killed, and what its replicas have not agreed on yet."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

import osapi
from osapi.flow.persist import insist
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig
from osapi_nats.link import Link
from tests.nats.connections import PATIENCE
from tests.soak.cluster import run_cluster
from tests.soak.log import Log
from tests.soak.lost_leaders import lost_leaders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from osapi_nats.connection import Incoming
    from osapi_nats.watch import NatsWatch

pytestmark = pytest.mark.usefixtures("nats_binary")


async def test_every_job_ends_once_though_leaders_are_killed(tmp_path: Path) -> None:
    settings = osapi.Settings(ack_wait=2.0, heartbeat=1.0, registry_ttl=30.0, replicas=3)
    async with run_cluster() as nodes:
        found = await lost_leaders(nodes, settings, Random(1), Log(tmp_path / "log"), driver="native", cycles=range(1))
    assert not found.problems
    assert found.counts["jobs"] > 1
    assert len(found.times["deaf by name"]) == 4, "each agent answered after the election"


async def test_who_waits_in_a_crowd_is_told_when_its_leader_was_killed() -> None:
    # It asks for no heartbeats: the next leader tells it, long before its request would end by itself.
    shared = ConsumerConfig(name="shared", max_waiting=100_000)
    kept = StreamConfig(name="CROWD", subjects=("crowd.>",), replicas=3)
    async with run_cluster() as nodes:
        async with osapi.connect(nodes.url) as transport:
            await (await transport.stream(kept)).consumer(shared)
        leader = nodes.servers.pop(await nodes.leader("CROWD", "shared"))
        async with osapi.connect(next(iter(nodes.servers.values())).url) as transport:
            stream = await transport.stream(kept)
            async with (await stream.consumer(shared)).pull() as pull:
                pull.request(1)
                await nodes.settle()
                await leader.kill()
                await nodes.elect()
                with trio.fail_after(PATIENCE):
                    await insist(partial(stream.publish, "crowd.x", b""), PATIENCE)
                    (delivery,) = await pull.receive()
    assert delivery.subject == "crowd.x"


async def test_a_cluster_without_a_majority_may_come_back() -> None:
    async with run_cluster() as nodes:
        leader = nodes.servers.pop(await nodes.leader())
        other = nodes.servers.pop(next(iter(nodes.servers)))
        await leader.kill()
        await other.kill()
        url = f"{nodes.url}/?timeout=2"
        with pytest.raises(osapi.DisconnectedError):
            async with osapi.connect(url):
                pytest.fail("nobody can answer for JetStream")
        await other.start()
        with trio.fail_after(PATIENCE):
            while not await answers(url):
                pass


async def answers(url: str) -> bool:
    try:
        async with osapi.connect(url):
            return True
    except osapi.DisconnectedError:
        return False


async def all_at_once(calls: list[Callable[[], Awaitable[int]]]) -> list[int | osapi.TransportError]:
    """Make calls at the same time, and return what each of them returned or raised."""
    outcomes: list[int | osapi.TransportError] = []

    async def one(call: Callable[[], Awaitable[int]]) -> None:
        try:
            outcomes.append(await call())
        except osapi.TransportError as error:
            outcomes.append(error)

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(one, call)
    return outcomes


async def test_of_many_comparisons_at_once_one_succeeds_and_the_others_tell_which() -> None:
    async with run_cluster() as nodes, osapi.connect(nodes.url) as transport:
        bucket = await transport.bucket(BucketConfig(name="race", replicas=3))
        revision = await bucket.create("key", b"")
        for _ in range(10):
            outcomes = await all_at_once([partial(bucket.update, "key", b"", revision) for _ in range(20)])
            (revision,) = (outcome for outcome in outcomes if isinstance(outcome, int))
            lost = [outcome for outcome in outcomes if isinstance(outcome, osapi.ConflictError)]
            assert [error.actual for error in lost] == [revision] * 19


async def test_an_id_that_is_used_many_times_at_once_is_stored_once() -> None:
    async with run_cluster() as nodes, osapi.connect(nodes.url) as transport:
        stream = await transport.stream(StreamConfig(name="RACE", subjects=("race.>",), replicas=3))

        async def publish(msg_id: str) -> int:
            return (await stream.publish("race.x", b"", msg_id=msg_id)).sequence

        for sequence in range(1, 11):
            assert await all_at_once([partial(publish, f"id-{sequence}")] * 20) == [sequence] * 20


async def test_a_watch_that_is_made_anew_is_asked_for_until_there_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    request, lost = Link.request, list[str]()

    async def lose_the_first(link: Link, subject: str, *args: Any, **kwargs: Any) -> Incoming:
        answer = await request(link, subject, *args, **kwargs)
        if subject.startswith("$JS.API.CONSUMER.CREATE") and not lost:
            lost.append(subject)
            await trio.sleep_forever()
        return answer

    async with run_cluster() as nodes, osapi.connect(nodes.url) as transport:
        bucket = await transport.bucket(BucketConfig(name="watched", replicas=3))
        await bucket.put("key", b"1")
        async with bucket.watch(">") as watch:
            assert [entry.value for entry in await watch.receive()] == [b"1"]
            monkeypatch.setattr(Link, "request", lose_the_first)
            await cast("NatsWatch", watch).resume()
            await bucket.put("key", b"2")
            with trio.fail_after(PATIENCE):
                assert [entry.value for entry in await watch.receive()] == [b"2"]
    assert lost
