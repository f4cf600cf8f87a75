"""The in-memory broker and a real server cannot be told apart by what random scripts show."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

import osapi
from osapi.transport import StreamConfig
from osapi_memory import Broker
from tests.nats.differential.buckets import BUCKETS
from tests.nats.differential.consumers import CONSUMERS
from tests.nats.differential.run import compare_many
from tests.nats.differential.streams import STREAMS

if TYPE_CHECKING:
    from tests.nats.differential.script import Kind


@pytest.mark.parametrize(
    ("kind", "timed", "count", "at_once"),
    [
        (BUCKETS, False, 100, 6),
        (STREAMS, False, 100, 6),
        (CONSUMERS, False, 40, 6),
        (BUCKETS, True, 30, 30),
        (STREAMS, True, 30, 30),
        (CONSUMERS, True, 20, 20),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_the_brokers_agree(kind: Kind, timed: bool, count: int, at_once: int, nats_server: str) -> None:
    scripts = [kind.draw(Random(seed), timed) for seed in range(count)]
    async with Broker() as broker, broker.connect() as memory, osapi.connect(nats_server) as real:
        # Where there is no stream at all the server takes a folder away that it may be about to need.
        await real.stream(StreamConfig(name="differential-stays", subjects=("differential-stays",)))
        tally = await compare_many(kind, scripts, memory, real, at_once=at_once)
    assert not tally.differences, str(tally.differences[0])
    if tally.compared < count // 4:
        pytest.skip("this machine is too busy for moments to be compared")
