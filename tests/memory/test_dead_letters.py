"""What the broker alone promises of dead letters; the rest is in the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from osapi.errors import InvalidSubjectError
from osapi.transport import ConsumerConfig, StreamConfig
from osapi_memory import Broker

if TYPE_CHECKING:
    from osapi.transport import Stream, Transport

DEAD = StreamConfig(name="dead", dead_letters_of="s")


async def give_up(transport: Transport, *reasons: str) -> None:
    stream = await transport.stream(StreamConfig(name="s", subjects=("s.>",)))
    consumer = await stream.consumer(ConsumerConfig(name="c"))
    async with consumer.pull() as pull:
        for reason in reasons:
            await stream.publish("s.a", b"")
            pull.request(1)
            for delivery in await pull.receive():
                delivery.term(reason)


async def letters(stream: Stream) -> list[dict[str, Any]]:
    info = await stream.info()
    found = [await stream.get(sequence) for sequence in range(info.first_sequence, info.last_sequence + 1)]
    return [msgspec.json.decode(message.payload) for message in found if message is not None]


async def test_they_look_as_those_of_a_server_do(autojump_clock: object, transport: Transport) -> None:
    dead = await transport.stream(DEAD)
    await give_up(transport, "  why  ", "")
    newest = await dead.last(">")
    assert newest is not None
    assert newest.subject == "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.s.c"
    first, second = await letters(dead)
    timestamp = first.pop("timestamp")
    assert timestamp.endswith("Z")
    assert first == {
        "type": "io.nats.jetstream.advisory.v1.terminated",
        "stream": "s",
        "consumer": "c",
        "stream_seq": 1,
        "deliveries": 1,
        "reason": "why",
    }
    assert "reason" not in second


async def test_it_makes_no_difference_which_stream_is_made_first(autojump_clock: object) -> None:
    async with Broker() as broker, broker.connect() as transport:
        await give_up(transport, "before")
        dead = await transport.stream(DEAD)
        await give_up(transport, "after")
        assert [letter["reason"] for letter in await letters(dead)] == ["after"]
        await transport.delete_stream("s")
        await give_up(transport, "anew")
        assert [letter["reason"] for letter in await letters(dead)] == ["after", "anew"]


async def test_a_stream_of_dead_letters_that_was_deleted_hears_nothing(autojump_clock: object) -> None:
    async with Broker() as broker, broker.connect() as transport:
        await transport.stream(DEAD)
        await transport.delete_stream("dead")
        await give_up(transport, "unheard")
        dead = await transport.stream(DEAD)
        assert await letters(dead) == []
        await give_up(transport, "heard")
        assert [letter["reason"] for letter in await letters(dead)] == ["heard"]


@pytest.mark.parametrize("limit", [{"max_msgs": 1, "discard": "new"}, {"max_msg_size": 200}])
async def test_what_does_not_fit_is_lost_and_harms_nobody(autojump_clock: object, limit: dict[str, Any]) -> None:
    async with Broker() as broker, broker.connect() as transport:
        dead = await transport.stream(StreamConfig(name="dead", dead_letters_of="s", **limit))
        await give_up(transport, "first", "x" * 1000)
        assert [letter["reason"] for letter in await letters(dead)] == ["first"]


async def test_a_deleted_consumer_gives_nothing_up(autojump_clock: object, transport: Transport) -> None:
    dead = await transport.stream(DEAD)
    stream = await transport.stream(StreamConfig(name="s", subjects=("s.>",)))
    consumer = await stream.consumer(ConsumerConfig(name="c"))
    async with consumer.pull() as pull:
        await stream.publish("s.a", b"")
        pull.request(1)
        (delivery,) = await pull.receive()
        await stream.delete_consumer("c")
        delivery.term("too late")
        await trio.sleep(100)
    assert await letters(dead) == []


async def test_nothing_can_be_published_among_them(transport: Transport) -> None:
    dead = await transport.stream(DEAD)
    for subject in ("", "s.a", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.s.c"):
        with pytest.raises(InvalidSubjectError):
            await dead.publish(subject, b"")
    with pytest.raises(InvalidSubjectError, match="it has none that can be published on"):
        await dead.publish("s.a", b"")
    with pytest.raises(InvalidSubjectError, match="take every dead letter: give no filter"):
        await dead.consumer(ConsumerConfig(name="c", filters=("s.a",)))
