"""Submit to result: who gets a job, and what the client sees of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi import JobStatus, SlotStatus
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def test_one_of_n_is_run_by_one(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.agent("web-02"), world.client() as client:
        handle = await client.submit("test.hostname.get")
        assert handle.expected is None
        answers = await handle.result()
    ((host, answer),) = answers.items()
    assert host in {"web-01", "web-02"}
    assert answer.unwrap() == ops.Hostname(host)
    assert (answer.status, answer.error, answer.attempts, answer.changed) == (SlotStatus.COMPLETED, "", 1, False)
    assert handle.status() is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("_all", ["db-01", "web-01", "web-02"]),
        ("web-02", ["web-02"]),
        ("WEB-02", ["web-02"]),
        ("group:web", ["web-01", "web-02"]),
        ("group:web.dev", ["web-01"]),
        ("group:web.dev.us-east", ["web-01"]),
        ("group:db", ["db-01"]),
    ],
)
async def test_targets(autojump_clock: object, world: World, target: str, hosts: list[str]) -> None:
    async with (
        world.agent("web-01", "web.dev.us-east"),
        world.agent("Web-02", "web.prod.eu-west"),
        world.agent("db-01", "db.dev.us-east"),
        world.client() as client,
    ):
        handle = await client.submit("test.hostname.get", target=target)
        assert handle.expected == tuple(hosts)
        answers = await handle.result()
        assert {host: answer.unwrap().hostname for host, answer in answers.items()} == {host: host for host in hosts}
        assert [(await client.get(handle.id)).records[host].status for host in hosts] == [SlotStatus.COMPLETED] * len(
            hosts
        )


async def test_work_is_shared_and_bounded_by_max_jobs(autojump_clock: object, world: World) -> None:
    async with world.agent("a", max_jobs=2), world.agent("b", max_jobs=2), world.client() as client:
        handles = [await client.submit("test.sleep", ops.Sleep(1.0)) for _ in range(8)]
        began = trio.current_time()
        answers = [await handle.result() for handle in handles]
        assert trio.current_time() - began == pytest.approx(2.0, abs=0.5)
    assert Counter(host for answer in answers for host in answer) == {"a": 4, "b": 4}


async def test_without_a_registry_a_client_speaks_plain_json(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client(operations=None) as client:
        answers = await (await client.submit("test.hostname.get")).result()
        assert answers["web-01"].data == {"hostname": "web-01"}
        echoed = await (await client.submit("test.echo", {"x": [1, None, "ü"]})).result()
        assert echoed["web-01"].data == {"x": [1, None, "ü"]}


async def test_a_job_waits_for_an_agent_to_come(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.hostname.get")
        assert handle.status() is JobStatus.SUBMITTED
        await trio.sleep(20)
        async with world.agent("web-01"):
            assert list(await handle.result()) == ["web-01"]


async def test_what_came_while_an_agent_was_away_is_run_when_it_is_back(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        async with world.mortal("web-01") as mortal:
            mortal.kill()
        handle = await client.submit("test.hostname.get", target="web-01")
        async with world.agent("web-01"):
            assert list(await handle.result()) == ["web-01"]


async def test_events_tell_the_story_from_the_start_to_the_end(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        await trio.sleep(1)
        told = [(event.event, event.host) async for event in handle.events()]
        assert told == [("submitted", ""), ("started", "web-01"), ("completed", "web-01")]
        assert [event.event for event in handle.timeline()] == ["submitted", "started", "completed"]
        again = [event.event async for event in handle.events()]
        assert again == ["submitted", "started", "completed"]


async def test_several_may_wait_for_one_job(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client, trio.open_nursery() as nursery:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        with trio.move_on_after(1) as hurried:
            await handle.result()
        assert hurried.cancelled_caught
        for _ in range(3):
            nursery.start_soon(handle.result)
    assert handle.done


async def test_changes_are_told(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        answers = [
            await (await client.submit("test.change", True)).result(),
            await (await client.submit("test.change", False)).result(),
            await (await client.submit("test.touch")).result(),
        ]
    assert [answer["web-01"].changed for answer in answers] == [True, False, True]


async def test_a_skip_is_told_with_its_reason(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        handle = await client.submit("test.skip", target="_all")
        answer = (await handle.result())["web-01"]
    assert (answer.status, answer.error) == (SlotStatus.SKIPPED, "no such device here")
    assert handle.status() is JobStatus.SKIPPED
    with pytest.raises(osapi.JobFailedError, match="web-01: skipped: no such device here"):
        answer.unwrap()


async def test_an_operation_that_only_others_offer(autojump_clock: object, world: World) -> None:
    async with world.agent("a", operations=osapi.Operations()), world.agent("b"), world.client() as client:
        everybody = await client.submit("test.hostname.get", target="_all")
        anybody = [await client.submit("test.hostname.get") for _ in range(5)]
        answers = await everybody.result()
        assert {host: answer.status for host, answer in answers.items()} == {
            "a": SlotStatus.SKIPPED,
            "b": SlotStatus.COMPLETED,
        }
        assert answers["a"].error == "a does not offer test.hostname.get"
        assert everybody.status() is JobStatus.COMPLETED
        assert [list(await handle.result()) for handle in anybody] == [["b"]] * 5


async def test_stored_jobs_can_be_listed_and_looked_at(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client, world.client() as other:
        handles: list[osapi.JobHandle] = []
        for n in range(5):
            operation = "test.skip" if n % 2 else "test.hostname.get"
            handles.append(await client.submit(operation, target="_all"))
            await handles[-1].result()
        ids = [handle.id for handle in handles]
        assert [job.id for job in await other.list()] == ids[::-1]
        assert [job.id for job in await other.list(limit=2, offset=1)] == [ids[3], ids[2]]
        assert [job.id for job in await other.list(status="skipped")] == [ids[3], ids[1]]
        assert [job.id for job in await other.list(status=JobStatus.COMPLETED, limit=1, offset=1)] == [ids[2]]
        assert await other.list(status="failed") == []
        job = await other.get(ids[0])
        assert (job.id, job.status, job.definition.target) == (ids[0], JobStatus.COMPLETED, "_all")
        assert [event.event for event in job.timeline] == ["submitted", "started", "completed"]


async def test_a_deleted_job_is_gone_and_whoever_waits_is_told(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        handle = await client.submit("test.sleep", ops.Sleep(5.0))
        await trio.sleep(1)
        await client.delete(handle.id)
        with pytest.raises(osapi.UnknownJobError, match="was deleted"):
            await handle.result()
        with pytest.raises(osapi.UnknownJobError, match="was deleted"):
            async for _ in handle.events():
                pass
        await trio.sleep(10)
        for call in (client.get, client.delete, client.retry):
            with pytest.raises(osapi.UnknownJobError, match="there is no job"):
                await call(handle.id)
        assert await client.list() == []


async def test_a_manual_retry_keeps_the_target_and_links_both_jobs(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.agent("b"), world.client() as client:
        first = await client.submit("test.hostname.get", target="a")
        await first.result()
        again = await client.retry(first.id)
        assert list(await again.result()) == ["a"]
        elsewhere = await client.retry(first.id, target="b")
        assert list(await elsewhere.result()) == ["b"]
        assert (await client.get(first.id)).retried_as == elsewhere.id
        assert (await client.get(again.id)).definition.retry_of == first.id
        assert (await client.get(again.id)).definition.target == "a"


async def test_agents_can_be_listed(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        assert list(client.fleet.registered()) == []
        async with world.agent("web-02"), world.agent("web-01", "web.dev"):
            assert [(a.hostname, a.labels) for a in client.fleet.registered()] == [
                ("web-01", {"group": "web.dev"}),
                ("web-02", {}),
            ]
            assert client.fleet.registration("Web-01").max_jobs == 10
            with pytest.raises(osapi.UnknownHostError, match="did you mean web-01"):
                client.fleet.registration("web-1")
        assert list(client.fleet.registered()) == []


async def test_waiting_ends_with_the_clients_block(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        handle = await client.submit("test.hostname.get")
    with pytest.raises(osapi.ClosedError, match="the client was closed"):
        await handle.result()


async def test_an_error_in_the_block_comes_out_as_it_is(autojump_clock: object, world: World) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with world.agent("web-01"), world.client():
            raise KeyError("mine")
