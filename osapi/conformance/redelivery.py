"""C3 and C4: which messages are delivered again, when, and how often."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.conformance.check import check, expect, expect_equal
from osapi.conformance.ground import SILENCE, collect, fresh_consumer, next_payloads, publish, silence, until

if TYPE_CHECKING:
    from osapi.transport import Consumer, Delivery, Pull, Transport

# Short enough not to be boring; the silences below it are half as long, so that a slow machine is not a bug.
ACK_WAIT = 0.8
# So long that nothing but an answer brings a message back.
NEVER = 600


@check("C3")
async def an_unanswered_message_is_delivered_again(transport: Transport) -> None:
    """Not before `ack_wait` has passed, then to whoever waits, with its deliveries counted."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT) as (stream, consumer):
        await publish(stream, 1)
        async with consumer.pull() as one, consumer.pull() as two:
            first = await _next(one)
            two.request(1)
            await silence(two, "a message within its ack_wait", ACK_WAIT / 2)
            (second,) = await collect(two, 1, "a message after its ack_wait")
            expect_equal((first.deliveries, second.deliveries), (1, 2), "deliveries")
            same = (second.subject, second.payload, second.sequence)
            expect_equal(same, (first.subject, first.payload, first.sequence), "subject, payload and sequence")
            second.ack()
            await _ended(consumer)


@check("C3")
async def backoff_takes_the_place_of_ack_wait(transport: Transport) -> None:
    """`backoff[n]` follows the n-th delivery; the last one goes on for ever."""
    async with fresh_consumer(transport, ack_wait=NEVER, backoff=(0.3, 2.0, 0.3)) as (stream, consumer):
        await publish(stream, 1)
        async with consumer.pull() as pull:
            pull.request(5)
            await collect(pull, 2, "two deliveries, the first backoff being 0.3 s")
            await silence(pull, "a message within its second backoff, of 2 s", 1.0)
            deliveries = await collect(pull, 3, "deliveries after the second and third backoff")
            expect_equal([delivery.deliveries for delivery in deliveries], [3, 4, 5], "deliveries")


@check("C3")
async def nak_brings_a_message_back_at_once(transport: Transport) -> None:
    """It waits neither for `ack_wait` nor for a `backoff`."""
    for settings in ({"ack_wait": NEVER}, {"backoff": (NEVER, NEVER)}):
        async with fresh_consumer(transport, **settings) as (stream, consumer), consumer.pull() as pull:
            await publish(stream, 1)
            for count in (1, 2, 3):
                delivery = await _next(pull)
                expect_equal(delivery.deliveries, count, f"deliveries with {settings}")
                delivery.nak()


@check("C3")
async def nak_with_a_delay_brings_a_message_back_after_it(transport: Transport) -> None:
    """The delay counts, whether `ack_wait` or a `backoff` is shorter or longer."""
    for settings in ({"ack_wait": NEVER}, {"ack_wait": 0.2}, {"backoff": (NEVER, NEVER)}):
        async with fresh_consumer(transport, **settings) as (stream, consumer), consumer.pull() as pull:
            await publish(stream, 1)
            (await _next(pull)).nak(delay=1.0)
            pull.request(1)
            await silence(pull, f"a message within its delay of 1 s, with {settings}", 0.5)
            (again,) = await collect(pull, 1, f"a message after its delay, with {settings}")
            expect_equal(again.deliveries, 2, f"deliveries with {settings}")


@check("C3")
async def redeliveries_come_first(transport: Transport) -> None:
    """A message that is due again comes before those that were never delivered, whatever made it due."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 4)
        await _next(pull)
        await trio.sleep(2 * ACK_WAIT)
        again = await _next(pull)
        expect_equal(again.payload, b"1", "the message after an ack_wait")
        again.nak()
        # An answer is only posted: it has to arrive before the next request.
        await trio.sleep(SILENCE)
        expect_equal(await next_payloads(pull, 1, "after a nak"), [b"1"], "the message after a nak")
        expect_equal(await next_payloads(pull, 3, "what is left"), [b"2", b"3", b"4"], "what is left")


@check("C3")
async def in_progress_starts_ack_wait_anew(transport: Transport) -> None:
    """A message stays with its receiver as long as that says so, and comes back when it stops."""
    async with fresh_consumer(transport, ack_wait=1.5) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 1)
        delivery = await _next(pull)
        pull.request(1)
        for _ in range(6):
            await silence(pull, "a message in progress", 0.5)
            delivery.in_progress()
        (again,) = await collect(pull, 1, "a message no longer in progress")
        expect_equal(again.deliveries, 2, "deliveries")


@check("C3")
async def ack_and_term_end_a_message(transport: Transport) -> None:
    """Neither `ack_wait` nor a later answer brings it back."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 2)
        pull.request(2)
        acked, termed = await collect(pull, 2, "both messages")
        acked.ack()
        termed.term("no use")
        await _ended(consumer)
        for delivery in (acked, termed):
            delivery.nak()
            delivery.nak(delay=0.1)
            delivery.in_progress()
            delivery.ack()
            delivery.term()
        pull.request(1)
        await silence(pull, "an answered message", 2 * ACK_WAIT)


@check("C3")
async def a_late_answer_still_ends_a_message(transport: Transport) -> None:
    """An `ack` or `term` after `ack_wait`, while the message is due again, keeps it from being delivered."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 2)
        pull.request(2)
        acked, termed = await collect(pull, 2, "both messages")
        await trio.sleep(2 * ACK_WAIT)
        acked.ack()
        termed.term()
        await _ended(consumer)
        pull.request(1)
        await silence(pull, "a message answered late")


@check("C3")
async def an_answer_to_an_older_delivery_ends_a_message(transport: Transport) -> None:
    """The first receiver's `ack` or `term` counts, though the message has been delivered again since."""
    async with fresh_consumer(transport, ack_wait=ACK_WAIT) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 2)
        pull.request(2)
        acked, termed = await collect(pull, 2, "both messages")
        pull.request(2)
        again = await collect(pull, 2, "both messages again")
        expect_equal([delivery.deliveries for delivery in again], [2, 2], "deliveries")
        acked.ack()
        termed.term()
        await _ended(consumer)
        pull.request(1)
        await silence(pull, "a message answered on its first delivery", 2 * ACK_WAIT)


@check("C4")
async def a_message_is_delivered_max_deliver_times(transport: Transport) -> None:
    """After so many unanswered deliveries it comes no more, and the next message does."""
    for most in (1, 3):
        async with fresh_consumer(transport, ack_wait=0.3, max_deliver=most) as (stream, consumer):
            await publish(stream, 1)
            async with consumer.pull() as pull:
                pull.request(most + 2)
                deliveries = await collect(pull, most, f"deliveries of {most} at most")
                expect_equal([delivery.deliveries for delivery in deliveries], [*range(1, most + 1)], "their numbers")
                await silence(pull, f"a message delivered {most} times already", 1.0)
                await publish(stream, 1, "next")
                (following,) = await collect(pull, 1, "the next message")
                expect_equal(following.deliveries, 1, "deliveries of the next message")


@check("C4")
async def nak_does_not_add_deliveries(transport: Transport) -> None:
    """A message that is given back counts as delivered."""
    async with fresh_consumer(transport, ack_wait=NEVER, max_deliver=2) as (stream, consumer):
        await publish(stream, 1)
        async with consumer.pull() as pull:
            for count in (1, 2):
                delivery = await _next(pull)
                expect_equal(delivery.deliveries, count, "deliveries")
                delivery.nak()
            pull.request(1)
            await silence(pull, "a message given back twice of two deliveries", 1.0)


@check("C4")
async def a_message_given_up_does_not_hold_its_slot(transport: Transport) -> None:
    """Once its deliveries are used up, the messages behind it in `max_ack_pending` go on."""
    settings = {"ack_wait": 0.3, "max_deliver": 2, "max_ack_pending": 1}
    async with fresh_consumer(transport, **settings) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 2)
        pull.request(3)
        payloads = [delivery.payload for delivery in await collect(pull, 3, "two deliveries and the next message")]
        expect_equal(payloads, [b"1", b"1", b"2"], "payloads")


async def _next(pull: Pull) -> Delivery:
    """Request and receive one message."""
    pull.request(1)
    (delivery,) = await collect(pull, 1, "one message")
    return delivery


async def _ended(consumer: Consumer) -> None:
    """Wait until the answers have arrived and nothing is unanswered."""
    info = await until(consumer.info, lambda info: info.ack_pending == 0, "the end of all messages")
    expect(info.redelivered == 0, f"{info.redelivered} messages count as delivered again, none is left")
