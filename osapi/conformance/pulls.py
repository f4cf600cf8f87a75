"""C5 and C9: how much a consumer hands out, and to whom."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import SILENCE, bounded, collect, fresh_consumer, publish, silence, until
from osapi.errors import ClosedError

if TYPE_CHECKING:
    from osapi.transport import Transport

# So long that nothing but an answer brings a message back.
NEVER = 600


@check("C5")
async def max_ack_pending_messages_are_unanswered_at_most(transport: Transport) -> None:
    """However many pulls ask, the next message comes when one was answered, by `ack` or by `term`."""
    async with (
        fresh_consumer(transport, max_ack_pending=2, ack_wait=NEVER) as (stream, consumer),
        consumer.pull() as one,
        consumer.pull() as two,
    ):
        await publish(stream, 5)
        one.request(2)
        first, second = await collect(one, 2, "two messages of two")
        two.request(2)
        await silence(two, "a third unanswered message of two")
        info = await consumer.info()
        expect_equal((info.ack_pending, info.pending), (2, 3), "unanswered and waiting messages")
        first.ack()
        expect_equal([d.payload for d in await collect(two, 1, "after an ack")], [b"3"], "payload after an ack")
        await silence(two, "a third unanswered message of two")
        second.term()
        expect_equal([d.payload for d in await collect(two, 1, "after a term")], [b"4"], "payload after a term")


@check("C5")
async def a_delayed_redelivery_holds_its_slot(transport: Transport) -> None:
    """A message given back with a delay is unanswered until it returns."""
    async with (
        fresh_consumer(transport, max_ack_pending=1, ack_wait=NEVER) as (stream, consumer),
        consumer.pull() as pull,
    ):
        await publish(stream, 2)
        pull.request(2)
        (first,) = await collect(pull, 1, "the first message")
        first.nak(delay=1.5)
        await silence(pull, "the second message while the first is delayed", 0.8)
        expect_equal((await consumer.info()).ack_pending, 1, "unanswered messages")
        (again,) = await collect(pull, 1, "the first message after its delay")
        expect_equal((again.payload, again.deliveries), (b"1", 2), "payload and deliveries")
        again.ack()
        pull.request(1)
        expect_equal([d.payload for d in await collect(pull, 1, "the second")], [b"2"], "payload at last")


@check("C5")
async def a_message_within_ack_wait_holds_its_slot(transport: Transport) -> None:
    """Also after its pull was closed; when it comes again it takes no slot more."""
    async with fresh_consumer(transport, max_ack_pending=1, ack_wait=1.0) as (stream, consumer):
        await publish(stream, 2)
        async with consumer.pull() as pull:
            pull.request(1)
            await collect(pull, 1, "the first message")
        async with consumer.pull() as pull:
            pull.request(2)
            (again,) = await collect(pull, 1, "the first message again")
            expect_equal((again.payload, again.deliveries), (b"1", 2), "payload and deliveries")
            again.ack()
            expect_equal([d.payload for d in await collect(pull, 1, "the second")], [b"2"], "payload")


@check("C9")
async def a_pull_receives_no_more_than_it_requested(transport: Transport) -> None:
    """Requests add up, made before or while messages come; without one nothing comes."""
    async with fresh_consumer(transport) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 10)
        await silence(pull, "a message that nobody requested")
        pull.request(1)
        pull.request(2)
        payloads = [delivery.payload for delivery in await collect(pull, 3, "three of ten")]
        await silence(pull, "a message beyond the three requested")
        pull.request(5)
        payloads += [delivery.payload for delivery in await collect(pull, 5, "five more")]
        expect_equal(payloads, [b"%d" % number for number in range(1, 9)], "payloads")
        await silence(pull, "a message beyond the eight requested")
        expect_equal((await consumer.info()).pending, 2, "messages not yet delivered")


@check("C9")
async def a_request_waits_until_it_is_served(transport: Transport) -> None:
    """It does not end with the messages that are there, nor after a while."""
    async with fresh_consumer(transport) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 1)
        pull.request(3)
        await collect(pull, 1, "the one message that is there")
        for _ in range(2):
            await silence(pull, "an empty stream", 1.0)
            await publish(stream, 1)
            await collect(pull, 1, "a message that was requested before it came")
        await publish(stream, 1)
        await silence(pull, "a message beyond the three requested")


@check("C9")
async def closing_a_pull_gives_its_requests_back(transport: Transport) -> None:
    """What it had asked for is free for others, who do not wait for it either."""
    async with fresh_consumer(transport, ack_wait=2) as (stream, consumer):
        async with consumer.pull() as pull:
            pull.request(5)
            await until(consumer.info, lambda info: info.waiting > 0, "a waiting pull")
        await until(consumer.info, lambda info: info.waiting == 0, "a closed pull that waits no more")
        async with consumer.pull() as pull:
            pull.request(3)
            await until(consumer.info, lambda info: info.waiting > 0, "a waiting pull")
            await publish(stream, 3)
            deliveries = await collect(pull, 3, "messages for the pull that is left")
            expect_equal([delivery.deliveries for delivery in deliveries], [1, 1, 1], "deliveries")


@check("C9")
async def what_a_closed_pull_did_not_receive_is_given_back(transport: Transport) -> None:
    """What it had requested, and what had come without being received, is delivered to another at once, in order."""
    async with fresh_consumer(transport, ack_wait=NEVER) as (stream, consumer):
        async with consumer.pull() as pull:
            pull.request(3)
            await publish(stream, 3)
            await trio.sleep(SILENCE / 2)
        async with consumer.pull() as other:
            other.request(3)
            payloads = [delivery.payload for delivery in await collect(other, 3, "the messages of a closed pull")]
            expect_equal(payloads, [b"1", b"2", b"3"], "payloads")


@check("C9")
async def an_answer_counts_after_its_pull_was_closed(transport: Transport) -> None:
    """A delivery can be acknowledged when its block has ended."""
    async with fresh_consumer(transport, ack_wait=0.8) as (stream, consumer):
        await publish(stream, 1)
        async with consumer.pull() as pull:
            pull.request(1)
            (delivery,) = await collect(pull, 1, "the message")
        delivery.ack()
        async with consumer.pull() as other:
            other.request(1)
            await silence(other, "a message acknowledged after its pull was closed", 2.0)
        expect_equal((await consumer.info()).ack_pending, 0, "unanswered messages")


@check("C9")
async def leaving_the_block_ends_the_pull(transport: Transport) -> None:
    """A pull whose block has ended raises, and does not wait for ever."""
    async with fresh_consumer(transport) as (_, consumer):
        async with consumer.pull() as pull:
            pass
        with bounded("receive of a closed pull"):
            await refusal(ClosedError, pull.receive(), "receive of a closed pull")


@check("C9")
async def deleting_a_consumer_ends_its_pulls(transport: Transport) -> None:
    """A pull that waits for a message of a consumer that is deleted is told so."""
    async with (
        fresh_consumer(transport) as (stream, consumer),
        consumer.pull() as pull,
        trio.open_nursery() as nursery,
    ):
        pull.request(1)
        told = trio.Event()

        async def wait() -> None:
            await refusal(ClosedError, pull.receive(), "receive from a deleted consumer")
            told.set()

        nursery.start_soon(wait)
        await until(consumer.info, lambda info: info.waiting > 0, "a waiting pull")
        expect(await stream.delete_consumer("consumer"), "the consumer was not there")
        with bounded("the end of a pull whose consumer was deleted"):
            await told.wait()


@check("C9")
async def deleting_a_stream_ends_its_pulls(transport: Transport) -> None:
    """What was unanswered has no consequences, now or after `ack_wait`, also when the stream is made anew."""
    async with fresh_consumer(transport, ack_wait=0.5) as (stream, consumer), consumer.pull() as pull:
        await publish(stream, 2)
        pull.request(5)
        answered, _ = await collect(pull, 2, "both messages")
        await transport.delete_stream(stream.config.name)
        with bounded("the end of a pull whose stream was deleted"):
            await refusal(ClosedError, pull.receive(), "receive from a deleted stream")
        answered.ack()
        again = await transport.stream(stream.config)
        await trio.sleep(1.0)
        expect_equal((await again.info()).messages, 0, "messages of a stream made anew")
        expect_equal(await again.consumers(), [], "consumers of a stream made anew")
