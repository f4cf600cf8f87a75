"""A fleet with keys in virtual time: takeovers, a grace period, and what a stolen key of one agent is good for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi.flow.keyring import Keyring
from osapi.rules import seals
from osapi.rules.keys import output_key, response_key
from osapi.settings import response_bucket
from tests.library import operations as ops
from tests.promises.signed import AGENTS, CONTROLLER, KEYS, STRANGER, TRUST, keys_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.library.conftest import World

GRACE = 600.0


async def test_a_sibling_takes_over_what_was_lost_and_believes_its_record(
    autojump_clock: object, world: World, tmp_path: Path
) -> None:
    """With a journal it knows that it has not run the job, though that is older than its process."""
    options: dict[str, Any] = {"journal": tmp_path / "journal", **keys_of("b")}
    async with world.agent("b", **options):
        pass
    async with world.client(**KEYS) as client, world.mortal("a", **keys_of("a")) as mortal:
        handle = await client.submit("test.sleep", ops.Sleep(30.0))
        await trio.sleep(1)
        async with world.agent("b", **options):
            mortal.kill()
            answers = await handle.result()
    assert answers["b"].unwrap() == ops.Hostname("b")
    (record,) = handle.records.values()
    assert [(attempt.host, attempt.outcome) for attempt in record.earlier] == [("a", "lost")]


async def test_both_keys_count_until_the_grace_ends(autojump_clock: object, world: World) -> None:
    new = osapi.Signer.generate()
    async with world.client(**KEYS) as old, world.client(**KEYS) as rotated, world.agent("a", **keys_of("a")) as agent:
        await rotated.rotate(new, grace=GRACE)

        async def answer_to(client: osapi.Client) -> osapi.Response:
            return (await (await client.submit("test.hostname.get", target="a")).result())["a"]

        for _ in range(3):
            assert (await answer_to(old)).unwrap() == (await answer_to(rotated)).unwrap() == ops.Hostname("a")
            await trio.sleep(GRACE / 4)
        await trio.sleep(GRACE / 4 + 1.0)
        assert "whose time ended when another took its place" in (await answer_to(old)).error
        assert (await answer_to(rotated)).unwrap() == ops.Hostname("a")
        assert agent.counters.refused == 1


async def test_a_stolen_key_of_another_agent_writes_no_output_here(autojump_clock: object, world: World) -> None:
    operations = osapi.Operations()

    @operations.query("my.job")
    async def job(job: osapi.Job) -> None:
        job.output("what it wrote")

    options: dict[str, Any] = {"operations": operations}
    async with world.client(**options, **KEYS) as client, world.agent("a", **options, **keys_of("a")):
        handle = await client.submit("my.job")
        await handle.result()
        assert [chunk.text async for chunk in handle.output()] == ["what it wrote"]
        async with world.broker.connect() as transport:
            bucket = await transport.bucket(response_bucket(world.settings))
            key = output_key(response_key(handle.definition.origin, handle.id, "_any"), 1, 0)
            stored = await bucket.get(key)
            assert stored is not None
            value = seals.without_seal(stored.value)
            for signer, told in (
                (AGENTS["b"], "it is signed by b"),
                (CONTROLLER, "by a controller"),
                (None, "not signed"),
            ):
                place = seals.statement("", world.settings.response_bucket, key, value)
                sealed = value if signer is None else seals.pack(signer.public.raw, signer.sign(place), value)
                await bucket.put(key, sealed)
                with pytest.raises(osapi.UntrustedError, match=told):
                    [chunk async for chunk in handle.output()]


async def test_a_sweeper_signs_what_it_ends(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as transport, osapi.Sweeper(transport, settings=world.settings, **KEYS):
        async with world.client(**KEYS) as client:
            job_id = (await client.submit("test.hostname.get", within=60.0)).id
        await trio.sleep(70)
        async with world.client(**KEYS) as client:
            assert (await client.get(job_id)).status is osapi.JobStatus.EXPIRED
    for kind in (osapi.Sweeper, osapi.Scheduler):
        with pytest.raises(osapi.InvalidSettingError, match="is given without a signer"):
            kind(transport, trust=TRUST)


async def test_decisions_are_heard_after_their_watch_was_lost(
    autojump_clock: object, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = osapi.Trust([CONTROLLER.public])
    async with world.client(signer=CONTROLLER, trust=trust) as client, world.broker.connect() as transport:
        keyring = Keyring(transport, world.settings, STRANGER, trust.ledger())
        assert keyring.ledger is not None
        heard: list[int] = []

        def hear() -> None:
            decided = None if keyring.ledger is None else keyring.ledger.enrolment("a")
            heard.append(0 if decided is None else decided.number)

        async with trio.open_nursery() as nursery:
            await nursery.start(keyring.follow)
            async with world.agent("a", signer=AGENTS["a"], trust=trust):
                await client.enrolments.accept("a")
                await trio.sleep(1)
                monkeypatch.setattr(keyring, "apply", _lose)
                for _ in range(2):
                    # What waits for the next entry is what was there before.
                    await client.enrolments.accept("a", fingerprint=AGENTS["a"].fingerprint)
                    await client.enrolments.reject("a")
                    await trio.sleep(1)
                monkeypatch.undo()
                hear()
                await trio.sleep(10)
                hear()
            # Of the four decisions, two before the watch was lost.
            assert heard == [2, 4]
            nursery.cancel_scope.cancel()


def _lose(entries: object) -> None:
    raise osapi.ClosedError("the watch was removed")
