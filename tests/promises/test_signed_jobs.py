"""Agents with keys obey nobody without one: what is unsigned, altered, moved or forged is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import JobStatus, SlotStatus
from osapi.rules import seals
from osapi.rules.codec import DEFINITION, DRAIN, ORDERS, RECORD
from osapi.rules.keys import cancellation_key, drain_key, job_key, response_key, retried_key
from osapi.rules.records import VERSION, Drain, Order, Orders
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.promises.signed import AGENTS, CONTROLLER, KEYS, STRANGER, attack, keys_of, value_of

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_signed_jobs_run_and_signed_answers_count(world: World) -> None:
    async with world.client(**KEYS) as client, world.agent("a", **keys_of("a")), world.agent("b", **keys_of("b")):
        one = await (await client.submit("test.hostname.get")).result()
        assert next(iter(one.values())).unwrap() == ops.Hostname(next(iter(one)))
        everyone = await (await client.submit("test.hostname.get", target="_all")).result()
        assert {host: answer.status for host, answer in everyone.items()} == dict.fromkeys("ab", SlotStatus.COMPLETED)
        handle = await client.submit("test.flaky", ops.Flaky(failures=1), policy=osapi.Policy(attempts=3, backoff=0.1))
        assert [answer.status for answer in (await handle.result()).values()] == [SlotStatus.COMPLETED]
        assert (await client.get(handle.id)).status is JobStatus.COMPLETED
        async with world.client(**KEYS) as other:
            followed = await other.follow(handle.id)
            assert (await followed.result()).keys() == (await handle.result()).keys()


async def test_an_unsigned_job_is_refused_and_the_slot_says_so(world: World) -> None:
    async with world.client(**KEYS), world.client() as careless, world.agent("a", **keys_of("a")) as agent:
        # Whoever has no keys cannot see who is registered either way: the roster is signed, and readable.
        handle = await careless.submit("test.hostname.get", target="a")
        with trio.fail_after(10):
            answer = (await handle.result())["a"]
        anyone = await careless.submit("test.hostname.get")
        with trio.fail_after(10):
            (other,) = (await anyone.result()).values()
    assert answer.status is other.status is SlotStatus.FAILED
    assert answer.error == "refused by a: the stored definition is refused: it is not signed"
    assert agent.counters.refused == 2
    assert (handle.id, "a") not in ops.started
    assert (anyone.id, "a") not in ops.started


async def test_a_job_signed_by_a_stranger_or_by_an_agent_is_refused(world: World) -> None:
    async with world.agent("a", **keys_of("a")):
        for signer, told in ((STRANGER, "which nobody has accepted"), (AGENTS["b"], "the agent b, which may not")):
            async with world.client(signer=signer) as client:
                handle = await client.submit("test.hostname.get", target="a")
                with trio.fail_after(10):
                    answer = (await handle.result())["a"]
            assert told in answer.error
            assert (handle.id, "a") not in ops.started


async def test_an_altered_definition_is_refused_whichever_field_it_is(world: World) -> None:
    """All of them in one agent's life: fields first, then the target with its frozen hosts."""
    changes: list[dict[str, Any]] = [
        {"operation": "test.sleep"},
        {"kind": "modify"},
        {"target": "_all"},
        {"created": 5.0},
        {"finish_by": 9e9},
        {"expires": 9e9},
        {"expected": ("a", "b")},
        {"policy": osapi.Policy(attempts=100)},
        {"timeout": 3600.0},
        {"start_by": 9e9},
        {"key": "k"},
        {"retry_of": "0"},
    ]
    async with world.client(**KEYS) as client, attack(world) as attacker:
        async with world.agent("a", **keys_of("a")):
            pass
        signed = [await client.submit("test.hostname.get", target="a") for _ in changes]
        jobs = await attacker.jobs()
        for handle, change in zip(signed, changes, strict=True):
            seal = seals.unpack(await attacker.definition(handle.id))
            assert seal is not None
            altered = DEFINITION.encode(replace(handle.definition, **change))
            await jobs.put(job_key(handle.id), seals.pack(seal.public, seal.signature, altered))
        async with world.agent("a", **keys_of("a")):
            with trio.fail_after(20):
                answers = [next(iter((await handle.result()).values())) for handle in signed]
    assert {answer.status for answer in answers} == {SlotStatus.FAILED}
    assert all("its signature is not that of its content" in answer.error for answer in answers)
    assert not any((handle.id, "a") in ops.started for handle in signed)


async def test_a_definition_counts_under_its_own_id_in_its_own_fleet_only(world: World) -> None:
    async with (
        world.client(**KEYS) as client,
        world.agent("a", **keys_of("a")) as agent,
        attack(world) as attacker,
    ):
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        copy = handle.id[:-1] + ("0" if handle.id[-1] != "0" else "1")
        await (await attacker.jobs()).put(job_key(copy), await attacker.definition(handle.id))
        await attacker.notify(copy, host="a")
        await until(lambda: agent.counters.refused == 1)
        # Its content says another id, so there is no slot to write to.
        assert await (await attacker.responses()).get(response_key(handle.definition.origin, copy, "a")) is None
        assert (await client.get(handle.id)).status is JobStatus.COMPLETED
    other = replace(world.settings, fleet="elsewhere")
    async with world.client(signer=CONTROLLER, settings=other) as client, world.agent("a", **keys_of("a")):
        moved = await client.submit("test.hostname.get", target="a")
        with trio.fail_after(10):
            assert (await moved.result())["a"].error.startswith("refused by a")
    assert (moved.id, "a") not in ops.started


async def test_forged_orders_and_links_are_as_if_they_were_not_there(world: World) -> None:
    async with (
        world.client(**KEYS) as client,
        world.agent("a", **keys_of("a")) as agent,
        attack(world) as attacker,
    ):
        handle = await client.submit("test.sleep", ops.Sleep(1.5), target="a")
        await until(lambda: agent.active == 1)
        forged = ORDERS.encode(Orders(v=VERSION, orders=(Order(by="mallory", at=1.0),)))
        jobs = await attacker.jobs()
        await jobs.put(cancellation_key(handle.id), forged)
        await jobs.put(retried_key(handle.id), b"somewhere")
        await (await attacker.state()).put(drain_key("a"), DRAIN.encode(Drain(v=VERSION, at=1.0, by="mallory")))
        assert (await handle.result())["a"].status is SlotStatus.COMPLETED
        assert (await client.get(handle.id)).retried_as is None
        assert agent.state == "Ready"
        # An order of somebody who may give one takes the place of the forged one.
        second = await client.submit("test.sleep", ops.Sleep(1000.0), target="a")
        await until(lambda: agent.active == 1)
        await jobs.put(cancellation_key(second.id), forged)
        await client.cancel(second.id, by="alice")
        with trio.fail_after(10):
            assert (await second.result())["a"].error.startswith("cancelled by alice")
        assert await client.fleet.drain("a")
        await until(lambda: agent.state == "Cordoned")


async def test_an_answer_that_is_not_its_agents_is_untrusted_and_never_data(world: World) -> None:
    async with world.client(**KEYS) as client, attack(world) as attacker:
        async with world.agent("a", **keys_of("a")), world.agent("b", **keys_of("b")):
            handle = await client.submit("test.hostname.get", target="_all")
            answers = await handle.result()
        assert {answer.unwrap().hostname for answer in answers.values()} == {"a", "b"}
        responses = await attacker.responses()
        keys = {host: response_key(handle.definition.origin, handle.id, host) for host in "ab"}
        stored = value_of(await responses.get(keys["a"]))
        seal = seals.unpack(stored)
        assert seal is not None
        lie = RECORD.encode(replace(RECORD.decode(seal.value), host="b", slot="b"))
        forgeries = {
            "it is not signed": lie,
            "not that of its content": seals.pack(AGENTS["b"].public.raw, seal.signature, lie),
            "signed by the agent a": stored,
            "which nobody has accepted": seals.pack(STRANGER.public.raw, seal.signature, lie),
        }
        for told, forged in forgeries.items():
            await responses.put(keys["b"], forged)
            detail = await client.get(handle.id)
            assert detail.records["a"].status is SlotStatus.COMPLETED
            assert detail.records["b"].status is SlotStatus.UNTRUSTED
            assert told in (detail.records["b"].error or "")
            assert not len(detail.records["b"].result)
            assert detail.status is JobStatus.PARTIAL_FAILURE


async def test_whoever_waits_hears_that_an_answer_is_untrusted(world: World) -> None:
    async with (
        world.client(**KEYS) as client,
        world.agent("a", **keys_of("a")),
        attack(world) as attacker,
    ):
        handle = await client.submit("test.sleep", ops.Sleep(1000.0), target="a")
        await until(lambda: bool(handle.records))
        responses = await attacker.responses()
        key = response_key(handle.definition.origin, handle.id, "a")
        await responses.put(key, seals.without_seal(value_of(await responses.get(key))))
        with trio.fail_after(10):
            answer = (await handle.result())["a"]
    assert answer.status is SlotStatus.UNTRUSTED
    with pytest.raises(osapi.UntrustedAnswerError, match="the answer cannot be trusted: it is not signed"):
        answer.unwrap()


async def test_a_forged_job_can_be_removed_and_is_in_no_list(world: World) -> None:
    async with world.client(**KEYS) as client, world.client() as careless, world.agent("a", **keys_of("a")):
        good = await client.submit("test.hostname.get", target="a")
        await good.result()
        forged = await careless.submit("test.hostname.get", target="a")
        assert [job.id for job in await client.list()] == [good.id]
        index = await client.index()
        assert [job.id for job in (await index.list()).jobs] == [good.id]
        # Altered after it was read, it is not shown as it was.
        async with attack(world) as attacker:
            third = await client.submit("test.hostname.get", target="a")
            await third.result()
            await (await attacker.jobs()).put(job_key(third.id), DEFINITION.encode(third.definition))
        assert [job.id for job in (await index.list()).jobs] == [good.id]
        with pytest.raises(osapi.UntrustedError, match="it is not signed"):
            await client.get(forged.id)
        with pytest.raises(osapi.UntrustedError):
            await client.retry(forged.id)
        await client.delete(forged.id)
        with pytest.raises(osapi.UnknownJobError):
            await client.get(forged.id)
