"""Not a byte of what is stored can be changed: on both backends, whichever byte, of jobs and of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi import SlotStatus
from osapi.rules import seals
from osapi.rules.keys import job_key, response_key
from tests.promises.signed import CONTROLLER, KEYS, attack, keys_of, value_of

if TYPE_CHECKING:
    from tests.promises.conftest import World


async def test_no_byte_of_a_stored_job_or_answer_can_be_changed(world: World) -> None:
    async with world.client(**KEYS) as client, world.agent("a", **keys_of("a")), attack(world) as attacker:
        handle = await client.submit("test.hostname.get", target="a")
        await handle.result()
        jobs, responses = await attacker.jobs(), await attacker.responses()
        definition, record = job_key(handle.id), response_key(handle.definition.origin, handle.id, "a")
        stored = value_of(await responses.get(record))
        for place in range(len(stored)):
            await responses.put(record, flipped(stored, place, 1 << place % 8))
            answer = (await client.get(handle.id)).records["a"]
            assert answer.status is SlotStatus.UNTRUSTED, place
            assert not len(answer.result)
        await responses.put(record, stored)
        assert (await client.get(handle.id)).records["a"].status is SlotStatus.COMPLETED
        stored = value_of(await jobs.get(definition))
        for place in range(len(stored)):
            await jobs.put(definition, flipped(stored, place, 1 << place % 8))
            with pytest.raises(osapi.UntrustedError):
                await client.get(handle.id)
        for shorter in (b"", stored[:-1], stored[: seals.SEAL_BYTES], stored[: seals.SEAL_BYTES - 1], stored + b" "):
            await jobs.put(definition, shorter)
            with pytest.raises(osapi.UntrustedError):
                await client.get(handle.id)


def flipped(stored: bytes, place: int, bits: int) -> bytes:
    """Return the bytes with one of them changed."""
    changed = bytearray(stored)
    changed[place] ^= bits
    return bytes(changed)


names = st.text(max_size=8)


@given(st.tuples(names, names, names, st.binary(max_size=20)), st.tuples(names, names, names, st.binary(max_size=20)))
def test_no_two_places_or_values_are_signed_alike(
    one: tuple[str, str, str, bytes], other: tuple[str, str, str, bytes]
) -> None:
    assert (seals.statement(*one) == seals.statement(*other)) is (one == other)


@given(st.binary(max_size=300))
def test_what_is_sealed_is_opened_as_it_was(value: bytes) -> None:
    sealed = seals.pack(CONTROLLER.public.raw, CONTROLLER.sign(value), value)
    assert seals.unpack(sealed) == (CONTROLLER.public.raw, CONTROLLER.sign(value), value)
    assert seals.without_seal(sealed) == value
    assert len(sealed) == seals.SEAL_BYTES + len(value)
    assert seals.unpack(value) is None
    assert seals.without_seal(value) == value


@given(st.text(max_size=50), st.binary(max_size=50))
def test_a_refusal_says_why_and_of_what(reason: str, value: bytes) -> None:
    told = seals.refusal(seals.refused(reason, value))
    assert told == (reason.encode("utf-8", "replace").decode(), value)
