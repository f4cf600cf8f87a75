"""S6 and S7: removal by sequence, and what a stream is told that consumers of another gave up."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import trio

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import (
    PATIENCE,
    SILENCE,
    collect,
    fresh_consumer,
    fresh_stream,
    on,
    publish,
    silence,
    unique,
    until,
)
from osapi.errors import InvalidSubjectError, MismatchError
from osapi.rules.dead_letters import DELETED
from osapi.transport import ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.transport import Delivery, Pull, Stream, Transport

ACK_WAIT = 0.3
NEVER = 600
SHORTEST = 1


class Letter(msgspec.Struct, frozen=True):
    """What S7 says of a payload."""

    type: str
    timestamp: str
    consumer: str
    stream_seq: int
    deliveries: int
    reason: str = ""


# --- S6 ----------------------------------------------------------------------------------------------------


@check("S6")
async def delete_removes_one_message(transport: Transport) -> None:
    """It says whether the message was there; its neighbours stay, and its sequence is not used again."""
    async with fresh_stream(transport) as stream:
        first = (await stream.publish(on(stream, "a"), b"1")).sequence
        await publish(stream, 2, "a")
        seen = [await stream.delete(sequence) for sequence in (first + 1, first + 1, first + 100, 0)]
        expect_equal(seen, [True, False, False, False], "deleting a message, it again, one never stored, and none")
        kept = [await stream.get(first + further) is not None for further in range(3)]
        expect_equal(kept, [True, False, True], "which of three messages are kept")
        expect_equal((await stream.info()).messages, 2, "messages kept")
        expect_equal((await stream.publish(on(stream, "a"), b"4")).sequence, first + 3, "the next sequence")


@check("S6")
async def a_deleted_message_is_not_delivered(transport: Transport) -> None:
    """Whether it was never delivered or is pending, consumers let go of it, and its slot is free."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT, max_ack_pending=1) as (stream, consumer):
        await publish(stream, 3)
        async with consumer.pull() as pull:
            held = await _next(pull)
            await stream.delete(held.sequence)
            await stream.delete(held.sequence + 1)
            expect_equal((await _next(pull)).payload, b"3", "the message after those that were deleted")
            await stream.delete(held.sequence + 2)
            pull.request(1)
            await silence(pull, "a deleted message", 2 * ACK_WAIT)


# --- S7 ----------------------------------------------------------------------------------------------------


@check("S7")
async def a_term_is_a_dead_letter(transport: Transport) -> None:
    """It tells which consumer gave which message up, after how many deliveries, when and why."""
    async with _graveyard(transport) as (stream, letters), _pull(stream) as pull:
        await publish(stream, 1)
        first = await _next(pull)
        first.nak()
        again = await _next(pull)
        again.term("cannot be read: '{' \u00e9")
        await publish(stream, 1)
        (await _next(pull)).term()
        told = [
            (letter.type.rpartition(".")[2], letter.consumer, letter.stream_seq, letter.deliveries, letter.reason)
            for letter in await _letters(letters, 2)
        ]
        expect_equal(told[0], ("terminated", "consumer", first.sequence, 2, "cannot be read: '{' \u00e9"), "a letter")
        expect_equal(told[1], ("terminated", "consumer", first.sequence + 1, 1, ""), "a letter without a reason")


@check("S7")
async def a_dead_letter_says_when(transport: Transport) -> None:
    """Its timestamp is a moment of the broker's clock, in ISO 8601 with its offset from UTC."""
    async with _graveyard(transport) as (stream, letters), _pull(stream) as pull:
        await publish(stream, 1)
        (await _next(pull)).term()
        (letter,) = await _letters(letters, 1)
        when = datetime.fromisoformat(letter.timestamp)
        expect(when.tzinfo is not None, f"the timestamp {letter.timestamp} has no offset")
        expect(abs(when.timestamp() - transport.now()) < 60, f"told at {letter.timestamp}, now {transport.now()}")


@check("S7")
async def a_repeated_term_is_told_again(transport: Transport) -> None:
    """A message that has ended, by an ack or a term, may still be called a dead letter."""
    async with _graveyard(transport) as (stream, letters), _pull(stream) as pull:
        await publish(stream, 1)
        delivery = await _next(pull)
        delivery.ack()
        # Answers are only posted: this one has to arrive first.
        await trio.sleep(SILENCE)
        delivery.term("one")
        delivery.term("two")
        reasons = {letter.reason for letter in await _letters(letters, 2)}
        expect_equal(reasons, {"one", "two"}, "reasons")


@check("S7")
async def used_up_deliveries_are_told_at_the_next_request(transport: Transport) -> None:
    """With a `max_deliver` of 2, `ack_wait` after the second delivery nothing is told until somebody asks."""
    async with _graveyard(transport) as (stream, letters):
        async with _pull(stream, ack_wait=ACK_WAIT, max_deliver=2) as pull:
            await publish(stream, 1)
            pull.request(2)
            sequence = (await collect(pull, 2, "both deliveries"))[0].sequence
            await trio.sleep(ACK_WAIT + SILENCE)
            expect_equal((await letters.info()).messages, 0, "dead letters while nobody asks")
            pull.request(1)
            (letter,) = await _letters(letters, 1)
            told = (letter.type.rpartition(".")[2], letter.stream_seq, letter.deliveries, letter.reason)
            expect_equal(told, ("max_deliver", sequence, 2, ""), "the letter")
        expect(await stream.get(sequence) is not None, "the message that was given up is not kept")


@check("S7")
async def naks_use_deliveries_up(transport: Transport) -> None:
    """A message that was given back as often as it may be delivered is told of when somebody asks."""
    async with _graveyard(transport) as (stream, letters), _pull(stream, max_deliver=2) as pull:
        await publish(stream, 1)
        for _ in range(2):
            (await _next(pull)).nak()
        pull.request(1)
        (letter,) = await _letters(letters, 1)
        expect_equal((letter.type.rpartition(".")[2], letter.deliveries), ("max_deliver", 2), "the letter")


@check("S7")
async def one_delivery_that_is_used_up_is_told_at_once(transport: Transport) -> None:
    """With a `max_deliver` of 1 a message is given up when its `ack_wait` has passed, though nobody asks."""
    async with _graveyard(transport) as (stream, letters), _pull(stream, ack_wait=ACK_WAIT, max_deliver=1) as pull:
        await publish(stream, 1)
        await _next(pull)
        (letter,) = await _letters(letters, 1)
        expect_equal((letter.type.rpartition(".")[2], letter.deliveries), ("max_deliver", 1), "the letter")


@check("S7")
async def a_message_that_expires_unanswered_is_told_of(transport: Transport) -> None:
    """The reason says that it was deleted, so that it can be told from what somebody gave up."""
    async with _graveyard(transport) as (stream, letters), _pull(stream) as pull:
        receipt = await stream.publish(on(stream, "a"), b"1", ttl=SHORTEST)
        await _next(pull)
        (letter,) = await _letters(letters, 1)
        told = (letter.type.rpartition(".")[2], letter.stream_seq, letter.reason)
        expect_equal(told, ("terminated", receipt.sequence, DELETED), "the letter")


@check("S7")
async def nothing_else_is_a_dead_letter(transport: Transport) -> None:
    """An ack, an expiry before delivery, a message of another stream or one given up before are not told of."""
    async with fresh_stream(transport) as stream, _graveyard(transport) as (other, _):
        await publish(stream, 2)
        async with _pull(stream) as pull, _pull(other) as elsewhere:
            (await _next(pull)).term("before")
            await publish(other, 1)
            await trio.sleep(SILENCE)
            async with _dead_letters_of(transport, stream) as letters:
                (await _next(elsewhere)).term("of another stream")
                (await _next(pull)).ack()
                await stream.publish(on(stream, "a"), b"expires", ttl=SHORTEST)
                await trio.sleep(SHORTEST + SILENCE)
                await publish(stream, 1)
                (await _next(pull)).term("the only one")
                await _letters(letters, 1)
                await trio.sleep(SILENCE)
                told = [letter.reason for letter in await _letters(letters, 1)]
                expect_equal(told, ["the only one"], "reasons")


@check("S7")
async def dead_letters_are_consumed_as_messages(transport: Transport) -> None:
    """A consumer without filters receives them, and they stay when the stream that they are of is deleted."""
    async with fresh_stream(transport) as stream, _dead_letters_of(transport, stream) as letters:
        consumer = await letters.consumer(ConsumerConfig(name="undertaker"))
        async with consumer.pull() as burial, _pull(stream) as pull:
            await publish(stream, 1)
            (await _next(pull)).term("for the consumer")
            told = msgspec.json.decode((await _next(burial)).payload, type=Letter)
            expect_equal(told.reason, "for the consumer", "the reason that a consumer receives")
        await transport.delete_stream(stream.config.name)
        expect_equal(len(await _letters(letters, 1)), 1, "dead letters of a deleted stream")
        expect_equal(await letters.purge(), 1, "dead letters purged")


@check("S7")
async def dead_letters_have_one_stream_and_no_other_messages(transport: Transport) -> None:
    """Nothing else can be published on it, and a second stream of the same dead letters is refused."""
    async with _graveyard(transport) as (stream, letters):
        await refusal(InvalidSubjectError, letters.publish(on(stream, "a"), b"1"), "publish of a dead letter")
        second = StreamConfig(name=unique("stream"), dead_letters_of=stream.config.name)
        await refusal(MismatchError, transport.stream(second), "a second stream of the same dead letters")
        expect_equal((await (await transport.stream(letters.config)).info()).messages, 0, "messages, opened again")


@asynccontextmanager
async def _graveyard(transport: Transport) -> AsyncGenerator[tuple[Stream, Stream]]:
    """Create a stream, and one of its dead letters, for the length of the block."""
    async with fresh_stream(transport) as stream, _dead_letters_of(transport, stream) as letters:
        yield stream, letters


@asynccontextmanager
async def _dead_letters_of(transport: Transport, stream: Stream) -> AsyncGenerator[Stream]:
    name = unique("stream")
    try:
        yield await transport.stream(StreamConfig(name=name, dead_letters_of=stream.config.name))
    finally:
        with trio.move_on_after(PATIENCE, shield=True):
            await transport.delete_stream(name)


@asynccontextmanager
async def _pull(stream: Stream, *, ack_wait: float = NEVER, max_deliver: int = -1) -> AsyncGenerator[Pull]:
    consumer = await stream.consumer(ConsumerConfig(name="consumer", ack_wait=ack_wait, max_deliver=max_deliver))
    async with consumer.pull() as pull:
        yield pull


async def _next(pull: Pull) -> Delivery:
    pull.request(1)
    (delivery,) = await collect(pull, 1, "one message")
    return delivery


async def _letters(letters: Stream, count: int) -> list[Letter]:
    """Wait until there are so many dead letters, and read them."""
    info = await until(letters.info, lambda info: info.messages >= count, f"{count} dead letters")
    expect_equal(info.messages, count, "dead letters")
    found = [await letters.get(sequence) for sequence in range(info.first_sequence, info.last_sequence + 1)]
    return [msgspec.json.decode(message.payload, type=Letter) for message in found if message is not None]
