"""Writes whose outcome is unknown: stored or not, never by halves, and to be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from osapi.errors import ConflictError, UncertainError
from osapi_memory import Broker, Faults
from tests.memory.wires import BUCKET, STREAM, settled

if TYPE_CHECKING:
    from osapi_memory import MemoryTransport

OFTEN = Faults(1, uncertain=0.5)


async def test_half_of_the_uncertain_values_are_stored_and_those_whole(
    transport: MemoryTransport, broker: Broker
) -> None:
    stored = await transport.bucket(BUCKET)
    outcomes: list[bool] = []
    async with broker.connect(faults=OFTEN) as bad:
        bucket = await settled(lambda: bad.bucket(BUCKET))
        for number in range(400):
            key = f"k{number}"
            try:
                revision = await bucket.create(key, b"value")
            except UncertainError:
                entry = await bucket.get(key)
                outcomes.append(entry is not None)
            else:
                entry = await bucket.get(key)
                assert entry is not None
                assert entry.revision == revision
            assert entry is None or entry.value == b"value"
    assert 160 < len(outcomes) < 240
    assert 0.4 < sum(outcomes) / len(outcomes) < 0.6
    info = await stored.info()
    assert info.revision == info.keys == 400 - outcomes.count(False)


async def test_a_message_that_is_published_again_under_its_id_is_stored_once(
    transport: MemoryTransport, broker: Broker
) -> None:
    stored = await transport.stream(STREAM)
    duplicates = 0
    async with broker.connect(faults=OFTEN) as bad:
        stream = await settled(lambda: bad.stream(STREAM))
        for number in range(1, 51):
            receipt = await settled(lambda: stream.publish("s.a", b"x", msg_id=str(number)))  # noqa: B023
            duplicates += receipt.duplicate
            assert receipt.sequence == number
    assert duplicates
    assert (await stored.info()).messages == 50


async def test_a_write_that_was_refused_may_be_uncertain_too_and_changed_nothing(
    transport: MemoryTransport, broker: Broker
) -> None:
    stored = await transport.bucket(BUCKET)
    await stored.put("a", b"1")
    seen: list[type[Exception]] = []
    async with broker.connect(faults=OFTEN) as bad:
        bucket = await settled(lambda: bad.bucket(BUCKET))
        for _ in range(400):
            with pytest.raises((ConflictError, UncertainError)) as caught:
                await bucket.create("a", b"2")
            seen.append(caught.type)
    assert 160 < seen.count(UncertainError) < 240
    assert (await stored.info()).revision == 1


async def test_reads_are_never_uncertain(transport: MemoryTransport, broker: Broker) -> None:
    await (await transport.bucket(BUCKET)).put("a", b"")
    async with broker.connect(faults=OFTEN) as bad:
        bucket = await settled(lambda: bad.bucket(BUCKET))
        for _ in range(40):
            assert await bucket.get("a") is not None
            assert await bucket.keys() == ["a"]
            async with bucket.watch() as watch:
                assert len(await watch.receive()) == 1
