"""Agents wait until a controller accepts their key; of two who decide one does; a key is followed by another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.rules import seals
from osapi.rules.codec import ENROLMENT, JOIN
from osapi.rules.keys import enrolment_key, join_key
from osapi.rules.records import VERSION, Enrolment, Join
from tests.library import operations as ops
from tests.promises.conftest import until
from tests.promises.signed import CONTROLLER, STRANGER, attack, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.promises.conftest import World

FIRST = osapi.Signer.generate()
SECOND = osapi.Signer.generate()
NEXT_CONTROLLER = osapi.Signer.generate()

TRUST = osapi.Trust([CONTROLLER.public])
CONTROL: dict[str, Any] = {"signer": CONTROLLER, "trust": TRUST}


def new(signer: osapi.Signer = FIRST) -> dict[str, Any]:
    """Return what makes an agent ask to be accepted."""
    return {"signer": signer, "trust": TRUST, "machine_id": "0123"}


async def pending(client: osapi.Client, count: int = 1) -> Sequence[osapi.Applicant]:
    """Wait until so many ask."""
    with trio.fail_after(10):
        while len(found := await client.enrolments.pending()) != count:
            await trio.sleep(0.02)
    return found


async def test_an_agent_takes_jobs_once_it_is_accepted(world: World) -> None:
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        (applicant,) = await pending(client)
        assert (applicant.hostname, applicant.machine_id) == ("web-01", "0123")
        assert applicant.fingerprint == FIRST.fingerprint
        assert agent.state == "Pending"
        assert client.fleet.registered() == []
        anyone = await client.submit("test.hostname.get")
        await trio.sleep(0.5)
        assert not anyone.done
        await client.enrolments.accept("WEB-01", fingerprint=FIRST.fingerprint, by="alice")
        assert (await anyone.result())["web-01"].unwrap() == ops.Hostname("web-01")
        assert await client.enrolments.pending() == []
        await until(lambda: [found.state for found in client.fleet.registered()] == ["Ready"])
        (registered,) = client.fleet.registered()
        assert (registered.fingerprint, registered.machine_id) == (FIRST.fingerprint, "0123")
    # It stays accepted: another client, and the agent after a restart.
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        assert agent.state == "Ready"
        handle = await client.submit("test.hostname.get", target="web-01")
        assert (await handle.result())["web-01"].status is SlotStatus.COMPLETED


async def test_a_rejected_agent_asks_no_more_and_can_be_accepted_after_all(world: World) -> None:
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        await pending(client)
        await client.enrolments.reject("web-01", by="alice")
        await trio.sleep(0.6)
        assert await client.enrolments.pending() == []
        assert agent.state == "Pending"
        with pytest.raises(osapi.UnknownHostError, match="no agent asks to be accepted as 'web-01'"):
            await client.enrolments.accept("web-01")
        with pytest.raises(osapi.UnknownHostError):
            await client.enrolments.reject("web-01")
        await client.enrolments.accept("web-01", fingerprint=FIRST.fingerprint)
        await until(lambda: agent.state == "Ready")


async def test_an_acceptance_can_be_taken_back(world: World) -> None:
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        await pending(client)
        await client.enrolments.accept("web-01")
        await until(lambda: agent.state == "Ready")
        handle = await client.submit("test.hostname.get", target="web-01")
        await handle.result()
        await client.enrolments.reject("web-01")
        assert (await client.get(handle.id)).records["web-01"].status is SlotStatus.UNTRUSTED
        await until(lambda: agent.state == "Pending")
        # What it registers is not believed any more.
        await until(lambda: not client.fleet.registered())
        assert await client.fleet.list() == []
        assert await client.enrolments.pending() == []


async def test_another_key_under_the_same_hostname_needs_its_fingerprint(world: World) -> None:
    async with world.client(**CONTROL) as client, attack(world) as attacker:
        async with world.agent("web-01", **new()):
            await pending(client)
        async with world.agent("web-01", **new(SECOND)) as second:
            await pending(client, 2)
            with pytest.raises(osapi.EnrolmentError, match="2 keys ask to be accepted as web-01; give the fingerprint"):
                await client.enrolments.accept("web-01")
            with pytest.raises(osapi.EnrolmentError):
                await client.enrolments.reject("web-01")
            await client.enrolments.accept("web-01", fingerprint=FIRST.fingerprint)
            with pytest.raises(osapi.EnrolmentError, match="to accept another in its place, give its fingerprint"):
                await client.enrolments.accept("web-01")
            await trio.sleep(0.5)
            assert second.state == "Pending"
            await client.enrolments.accept("web-01", fingerprint=SECOND.fingerprint)
            await until(lambda: second.state == "Ready")
        async with world.agent("web-01", **new()) as first:
            await until(lambda: first.state == "Pending")
        with pytest.raises(osapi.UnknownHostError, match="no key"):
            await client.enrolments.accept("web-01", fingerprint=STRANGER.fingerprint)
        with pytest.raises(osapi.InvalidSettingError, match="is not a fingerprint"):
            await client.enrolments.accept("web-01", fingerprint="ab")
        # A request in the name of a key whose owner did not make it is none.
        asked = JOIN.encode(
            Join(v=VERSION, hostname="db-01", public=str(SECOND.public), machine_id="", requested_at=0.0)
        )
        state = await attacker.state()
        key = join_key("db-01", SECOND.fingerprint)
        signature = STRANGER.sign(seals.statement("", world.settings.state_bucket, key, asked))
        for forged in (asked, *(seals.pack(signer.public.raw, signature, asked) for signer in (SECOND, STRANGER))):
            await state.put(key, forged)
            assert [one for one in await client.enrolments.pending() if one.hostname == "db-01"] == []


async def test_of_two_who_accept_different_keys_at_once_one_does(world: World) -> None:
    async with world.client(**CONTROL) as one, world.client(**CONTROL) as other:
        for signer in (FIRST, SECOND):
            async with world.agent("web-01", **new(signer)):
                await pending(one, 1 if signer is FIRST else 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.enrolments.accept("web-01", fingerprint=FIRST.fingerprint))
            nursery.start_soon(lambda: other.enrolments.accept("web-01", fingerprint=SECOND.fingerprint))
        states: list[str] = []
        for signer in (FIRST, SECOND):
            async with world.agent("web-01", **new(signer)) as agent:
                states.append(agent.state)
        assert sorted(states) == ["Pending", "Ready"]


async def test_of_an_accept_and_a_reject_at_once_the_last_counts_everywhere(world: World) -> None:
    async with world.client(**CONTROL) as one, world.client(**CONTROL) as other:
        async with world.agent("web-01", **new()) as agent:
            await pending(one)
            lost: list[Exception] = []

            async def accept() -> None:
                try:
                    await one.enrolments.accept("web-01")
                except osapi.UnknownHostError as error:
                    lost.append(error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept)
                nursery.start_soon(lambda: other.enrolments.reject("web-01"))
            # Either the accept came first and was taken back, or it found that the key was rejected.
            await trio.sleep(0.5)
            assert agent.state == "Pending"
            assert len(lost) <= 1
        # Two who accept the same key both have what they want.
        async with world.agent("web-01", **new(SECOND)) as agent:
            await pending(one)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: one.enrolments.accept("web-01"))
                nursery.start_soon(lambda: other.enrolments.accept("web-01", fingerprint=SECOND.fingerprint))
            await until(lambda: agent.state == "Ready")


async def test_nobody_without_a_controllers_key_accepts_anybody(world: World) -> None:
    async with world.client(**CONTROL) as client, attack(world) as attacker:
        async with world.agent("web-01", **new()) as agent:
            await pending(client)
            state, name, key = await attacker.state(), world.settings.state_bucket, enrolment_key("web-01")
            decided = Enrolment(v=VERSION, hostname="web-01", number=9, at=0.0, accepted=str(FIRST.public))
            told = ENROLMENT.encode(decided)
            signature = STRANGER.sign(seals.statement("", name, key, told))
            for forged in (told, seals.pack(STRANGER.public.raw, signature, told)):
                await state.put(key, forged)
                await trio.sleep(0.5)
                assert agent.state == "Pending"
            # What somebody forged is in nobody's way.
            await client.enrolments.accept("web-01")
            await until(lambda: agent.state == "Ready")
            accepted = value_of(await state.get(key))
            await client.enrolments.reject("web-01")
            await until(lambda: agent.state == "Pending")
            # Shown again, an earlier decision does not count any more.
            await state.put(key, accepted)
            await trio.sleep(0.5)
            assert agent.state == "Pending"


async def test_a_controllers_key_is_followed_by_another(world: World) -> None:
    clock = 1.5
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        await pending(client)
        await client.enrolments.accept("web-01")
        await until(lambda: agent.state == "Ready")
        before = await client.submit("test.hostname.get", target="web-01")
        await before.result()
        await client.rotate(NEXT_CONTROLLER, grace=clock)
        await client.rotate(NEXT_CONTROLLER, grace=clock)
        after = await client.submit("test.hostname.get", target="web-01")
        assert (await after.result())["web-01"].status is SlotStatus.COMPLETED
        async with world.client(**CONTROL) as late:
            # The one before counts until its grace ends.
            handle = await late.submit("test.hostname.get", target="web-01")
            assert (await handle.result())["web-01"].status is SlotStatus.COMPLETED
            await trio.sleep(clock + 0.1)
            with pytest.raises(osapi.UntrustedError, match="whose time ended when another took its place"):
                await late.get(handle.id)
            refused = await late.submit("test.hostname.get", target="web-01")
            with trio.fail_after(10):
                await until(lambda: agent.counters.refused == 1)
            assert (refused.id, "web-01") not in ops.started
        # The agent is still accepted, and new ones learn of the new key from the old, which they were given.
        assert agent.state == "Ready"
        last = await client.submit("test.hostname.get", target="web-01")
        assert (await last.result())["web-01"].status is SlotStatus.COMPLETED
    async with world.client(signer=NEXT_CONTROLLER, trust=TRUST) as client:
        async with world.agent("web-01", **new()):
            handle = await client.submit("test.hostname.get", target="web-01")
            assert (await handle.result())["web-01"].status is SlotStatus.COMPLETED


async def test_what_outlives_a_job_outlives_the_key_that_signed_it(world: World) -> None:
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        await pending(client)
        await client.enrolments.accept("web-01")
        await until(lambda: agent.state == "Ready")
        await client.fleet.drain("web-01", by="alice")
        await until(lambda: agent.state == "Cordoned")
        await client.schedules.set("daily", "test.hostname.get", every=86_400.0)
        started = await client.rollouts.start("test.hostname.get")
        over = await client.rollouts.start("test.hostname.get")
        await client.rollouts.abort(over.id)
        await client.rotate(NEXT_CONTROLLER, grace=0.5)
        await trio.sleep(1.0)
    async with world.client(signer=NEXT_CONTROLLER, trust=TRUST) as client, world.agent("web-01", **new()) as agent:
        await until(lambda: agent.state == "Cordoned")
        assert [found.name for found in await client.schedules.all()] == ["daily"]
        assert {found.id for found in await client.rollouts.list()} == {started.id, over.id}
        await client.rollouts.pause(started.id)
        await client.fleet.undrain("web-01")
        await until(lambda: agent.state == "Ready")


async def test_an_agents_key_is_followed_by_another(world: World) -> None:
    async with world.client(**CONTROL) as client:
        async with world.agent("web-01", **new()) as agent:
            await pending(client)
            await client.enrolments.accept("web-01")
            await until(lambda: agent.state == "Ready")
            before = await client.submit("test.hostname.get", target="web-01")
            await before.result()
            await agent.rotate(SECOND, grace=30.0)
            after = await client.submit("test.hostname.get", target="web-01")
            assert (await after.result())["web-01"].status is SlotStatus.COMPLETED
            assert (await client.get(before.id)).records["web-01"].status is SlotStatus.COMPLETED
            with pytest.raises(osapi.EnrolmentError, match="has announced another key already"):
                await world_rotates_again(world, client)
        async with world.agent("web-01", **new(SECOND)) as agent:
            assert agent.state == "Ready"
        # Only the agent's own answers are at stake: its key announces no other host's, and gives no orders.
        async with world.client(signer=SECOND, trust=TRUST) as thief, world.agent("web-01", **new(SECOND)) as agent:
            handle = await thief.submit("test.hostname.get", target="web-01")
            await until(lambda: agent.counters.refused == 1)
            assert (handle.id, "web-01") not in ops.started


async def world_rotates_again(world: World, client: osapi.Client) -> None:
    """Let another process with the first key announce a third one."""
    async with world.agent("web-02", **new()) as other:
        await other.rotate(STRANGER)


async def test_what_was_stolen_can_be_refused_for_good(world: World) -> None:
    refusing = osapi.Trust([CONTROLLER.public], refused=[FIRST.fingerprint])
    async with world.client(**CONTROL) as client, world.agent("web-01", **new()) as agent:
        await pending(client)
        await client.enrolments.accept("web-01")
        await until(lambda: agent.state == "Ready")
        handle = await client.submit("test.hostname.get", target="web-01")
        await handle.result()
        async with world.client(signer=CONTROLLER, trust=refusing) as wary:
            record = (await wary.get(handle.id)).records["web-01"]
    assert record.status is SlotStatus.UNTRUSTED
    assert "which is refused" in (record.error or "")


async def test_keys_are_brought_into_a_fleet_without_a_day_when_nothing_works(world: World) -> None:
    async def works(client: osapi.Client) -> bool:
        handle = await client.submit("test.echo", {"a": 1}, target="web-01")
        with trio.fail_after(10):
            answer = (await handle.result())["web-01"]
        return bool(answer.unwrap() == {"a": 1})

    plain: dict[str, Any] = {}
    signs = {"signer": CONTROLLER}
    # Everybody signs, one after the other.
    async with world.client() as before, world.client(**signs) as after:
        for keys in (plain, {"signer": FIRST}):
            async with world.agent("web-01", **keys):
                assert await works(before)
                assert await works(after)
    # Everybody is accepted, and then everybody checks.
    async with world.client(**signs) as after, world.client(**CONTROL) as checks:
        (applicant,) = await checks.enrolments.pending()
        await checks.enrolments.accept("web-01", fingerprint=applicant.fingerprint)
        for keys in ({"signer": FIRST}, new()):
            async with world.agent("web-01", **keys):
                assert await works(after)
                await until(lambda: bool(checks.fleet.registered()))
                assert await works(checks)


async def test_without_trust_there_is_nothing_to_enrol(world: World) -> None:
    async with world.client(signer=CONTROLLER) as client:
        for call in (
            client.enrolments.pending(),
            client.enrolments.accept("a"),
            client.enrolments.reject("a"),
            client.rotate(FIRST),
        ):
            with pytest.raises(osapi.InvalidSettingError, match="give it a signer and trust"):
                await call
    with pytest.raises(osapi.InvalidSettingError, match="is given without a signer"):
        async with world.client(trust=TRUST):
            pass
    settings = replace(world.settings, fleet="x")
    assert settings.fleet == "x"
